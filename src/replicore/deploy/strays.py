"""Processes that outlived their keeper: find them by what only ours carry, and kill them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from replicore.deploy import keeper

_PATIENCE_S = 5.0
_POLL_S = 0.01


async def kill_strays(tag: Mapping[str, str], *, session: int | None = None) -> None:
    """Kill what carries ``tag`` in its environment or is in ``session``, until nothing does.

    Never itself, and never anything by its name. Gives up after some seconds: a process in an
    uninterruptible wait (a driver, a network disk) dies when the kernel lets it.

    Args:
        tag: Variables with their values; all must match.
        session: Id of a session that only ours are in. A process that overwrites its environment
            to show a title (setproctitle; vLLM does) can be told by nothing else.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        strays = find_strays(tag, session=session)
        if not strays:
            return
        for pid in strays:
            _kill(pid, tag, session)
            _reap(pid)
        await asyncio.sleep(_POLL_S)


def find_strays(tag: Mapping[str, str], *, session: int | None = None) -> list[int]:
    """Return the pids of all processes but this one with ``tag`` or in ``session``."""
    me = os.getpid()
    return [pid for pid in keeper.processes() if pid != me and _is_ours(pid, tag, session)]


def become_subreaper() -> None:
    """Become the parent of every descendant whose own parent dies; it lasts until exit."""
    keeper.prctl(keeper.PR_SET_CHILD_SUBREAPER, 1)


def _is_ours(pid: int, tag: Mapping[str, str], session: int | None) -> bool:
    fields = keeper.stat_fields(pid)
    if fields is None:
        return False
    return (session is not None and int(fields[3]) == session) or _carries(pid, tag)


def _carries(pid: int, tag: Mapping[str, str]) -> bool:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return all(f"{key}={value}".encode() in environ for key, value in tag.items())


def _kill(pid: int, tag: Mapping[str, str], session: int | None) -> None:
    """Kill one process, unless its pid has become another's since it was found."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _is_ours(pid, tag, session):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _reap(pid: int) -> None:
    """Wait for a process that was handed to this one; others have parents of their own."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
