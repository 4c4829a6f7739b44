"""The simulator as a process: from its options to its exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import uvloop

from replicore.engines.sim.faults import Faults, parse_faults
from replicore.engines.sim.options import SimOptions
from replicore.engines.sim.profiles import NO_MEMORY, PROFILES
from replicore.engines.sim.server import SimServer
from replicore.errors import ReplicoreError
from replicore.http.address import url_of
from replicore.http.server import listen, serve

CRASH_EXIT_CODE = 70

_GC_THRESHOLD = 100_000


def run(options: SimOptions) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ReplicoreError: The address cannot be listened on, or a fault that ends a load.
    """
    faults = faults_in_force(options)
    if faults.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Before any signal handler and any socket: so is an engine that loads its weights.
    time.sleep(faults.slow_start)
    if faults.load_failure:
        raise ReplicoreError("simulated fault: load-failure")
    if faults.out_of_memory:
        profile = PROFILES.get(options.profile or "")
        words = profile.out_of_memory if profile is not None else NO_MEMORY
        raise ReplicoreError(f"simulated fault: out-of-memory: {words}")
    # Little here is in cycles, and looking for them among thousands of streams costs a tenth.
    gc.set_threshold(_GC_THRESHOLD)
    uvloop.run(_serve(options, faults))


def faults_in_force(options: SimOptions) -> Faults:
    """Return the faults of this process: none where an earlier one had them, see ``SimOptions``."""
    faults = parse_faults(options.faults)
    if options.fault_once_file is None or _create(options.fault_once_file):
        return faults
    return Faults()


def _create(path: Path) -> bool:
    """Create an empty file; return False where it exists."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def _serve(options: SimOptions, faults: Faults) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    if not faults.ignore_sigterm:
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    try:
        sock = listen(options.host, options.port, reuse_port=options.reuse_port)
    except OSError as error:
        where = f"{options.host}:{options.port}"
        raise ReplicoreError(f"cannot listen on {where}: {error.strerror or error}") from error
    server = await serve(SimServer(options, faults=faults, die=die).handle, sock=sock)
    _say(f"simulated model {options.model} at {url_of(sock)}")
    await stop.wait()
    server.close()
    # Like vLLM, streams are cut: letting them finish is the gateway's task.
    await server.wait_closed(timeout=0)


def die(fault: str) -> NoReturn:
    """End the process at once, as a crash does: nothing is flushed, no connection is closed."""
    sys.stderr.write(f"simulated fault: {fault}\n")
    sys.stderr.flush()
    os._exit(CRASH_EXIT_CODE)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
