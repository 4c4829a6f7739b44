"""How each router is started, in its fastest sensible configuration."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway import canned, report
from benchmarks.gateway.peers import (
    LITELLM,
    SGLANG_ROUTER,
    VLLM_ROUTER,
    Peer,
    compiled_python,
    python_of,
)

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0
_MANY = "1000000"


class NotStarted(Exception):
    """Raised for a router that does not answer; the message is the end of its log."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a router is told: where its engines are, which port is its own, where it may write."""

    engines: Sequence[str]
    port: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Router:
    """One row of the table.

    Attributes:
        argv: Makes the command line, without the interpreter; None for no router at all.
        note: Its configuration in words.
        peer: None for ours.
        owner: What its engines say they are; ours asks vLLM for token ids, to resume with.
        compiled: Ours, as a wheel with a compiled data path.
    """

    name: str
    argv: Callable[[Place], list[str]] | None
    note: str
    peer: Peer | None = None
    owner: str = "vllm"
    environ: tuple[tuple[str, str], ...] = ()
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A router that answers.

    Attributes:
        router: How it was started.
        pid: None for no router at all.
        key: The API key that it takes.
    """

    router: Router
    port: int
    pid: int | None = None
    key: str = "none"


def routers(settings: Sequence[str]) -> list[Router]:
    """Return every row.

    Args:
        settings: Of ours: ``gateway.policy=least_outstanding``.
    """
    ours = ", ".join(settings) or "defaults"
    return [
        Router(report.DIRECT, None, "the load goes to one engine"),
        Router(report.OURS, _replicore(settings), ours),
        Router(report.COMPILED, _replicore(settings), f"{ours}; compiled", compiled=True),
        Router(report.NO_IDS, _replicore(settings), f"{ours}; not vLLM", owner="mock"),
        Router(
            report.TWO_WORKERS,
            _replicore([*settings, "gateway.workers=2"]),
            f"{ours}; two workers",
        ),
        *_rust_routers(VLLM_ROUTER, "vllm_router", "warning"),
        *_rust_routers(SGLANG_ROUTER, "sglang_router", "warn"),
        Router("litellm", _litellm, "one worker, errors only", LITELLM, environ=_QUIET_LITELLM),
    ]


def _replicore(settings: Sequence[str]) -> Callable[[Place], list[str]]:
    def argv(place: Place) -> list[str]:
        given = ["gateway.max_queue=10000", *settings]
        return [
            *("-m", "replicore", "gateway", "--port", str(place.port)),
            *(word for url in place.engines for word in ("--endpoint", url)),
            *(word for setting in given for word in ("--set", setting)),
        ]

    return argv


def _rust_routers(peer: Peer, package: str, level: str) -> Iterator[Router]:
    """Yield a Rust router as it comes, with a thread per core, and with one thread.

    One thread needs less CPU time for small requests. Of their policies round_robin needs least;
    cache_aware, their default, twice as much for a prompt of 200 kB.
    """
    argv, note = _rust(package, level), "round_robin, warnings only, no limits"
    yield Router(peer.name, argv, note, peer)
    one = (("TOKIO_WORKER_THREADS", "1"),)
    yield Router(f"{peer.name}-1-thread", argv, f"{note}; one thread", peer, environ=one)


def _rust(package: str, level: str) -> Callable[[Place], list[str]]:
    """Return the command line of either Rust router: they have one ancestor."""

    def argv(place: Place) -> list[str]:
        return [
            *("-m", f"{package}.launch_router", "--host", "127.0.0.1", "--port", str(place.port)),
            *("--worker-urls", *place.engines, "--policy", "round_robin", "--log-level", level),
            *("--max-concurrent-requests", _MANY, "--queue-size", _MANY),
            *("--prometheus-port", str(_free_port())),
        ]

    return argv


_QUIET_LITELLM = (
    ("LITELLM_LOG", "ERROR"),
    ("LITELLM_MODE", "PRODUCTION"),
    ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
)


def _litellm(place: Place) -> list[str]:
    models = [
        {
            "model_name": canned.MODEL,
            "litellm_params": {
                "model": f"openai/{canned.MODEL}",
                "api_base": f"{url}/v1",
                "api_key": "none",
            },
        }
        for url in place.engines
    ]
    path = place.folder / "litellm.yaml"  # JSON is YAML
    config = {
        "model_list": models,
        "litellm_settings": {"telemetry": False},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    path.write_text(json.dumps(config))
    main = "import litellm; litellm.run_server()"
    address = ("--host", "127.0.0.1", "--port", str(place.port))
    return ["-c", main, "--config", str(path), *address, "--num_workers", "1"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def running(router: Router, engine_ports: Sequence[int], peers: Path) -> Iterator[Running]:
    """Run a router before these engines.

    Raises:
        NotInstalled, NotStarted: It cannot be had.
    """
    if router.argv is None:
        yield Running(router, engine_ports[0])
        return
    python = _python(router, peers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = Place([f"http://127.0.0.1:{port}" for port in engine_ports], _free_port(), folder)
        key, options = _with_key(folder) if router.peer is None else ("none", [])
        log = folder / "log"
        process = _start([python, *router.argv(place), *options], router, log)
        try:
            _wait_until_it_answers(process, place, key, log)
            yield Running(router, place.port, process.pid, key)
        finally:
            _stop(process)


def _python(router: Router, peers: Path) -> str:
    if router.peer is not None:
        return str(python_of(router.peer, peers))
    return str(compiled_python(peers)) if router.compiled else sys.executable


def _with_key(folder: Path) -> tuple[str, list[str]]:
    """Return a new API key and the options that make our gateway ask for it."""
    path = folder / "keys"
    argv = [sys.executable, "-m", "replicore", "keys", "add", str(path), "benchmark"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise NotStarted(done.stderr.strip())
    return done.stdout.split()[-1], ["--set", f"gateway.api_keys_file={path}"]


def _start(argv: list[str], router: Router, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **dict(router.environ), "REPLICORE_STATE_DIR": str(log.parent)},
            start_new_session=True,
        )


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], place: Place, key: str, log: Path
) -> None:
    """Wait until as many requests in a row are answered as there are engines."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not all(_answers(place, key) for _ in place.engines):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise NotStarted(" | ".join(lines[-3:]) or f"exit status {process.poll()}")
        time.sleep(0.1)


def _answers(place: Place, key: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=10)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    try:
        connection.request("POST", "/v1/chat/completions", canned.prompt("now"), headers)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process, then all that is left of its session."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_TIMEOUT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
