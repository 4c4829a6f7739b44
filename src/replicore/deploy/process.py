"""A kept process, as the supervisor sees it: start it under a keeper, stop it, learn its end."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from replicore.cores import CoreRange
from replicore.deploy import keeper
from replicore.deploy.exits import Exit
from replicore.deploy.log_tail import log_tail
from replicore.deploy.strays import find_strays, kill_strays
from replicore.errors import ReplicaStartError

LOG_BYTES = 16 * 2**20

# The lines that come back may be long, and escaped.
_LINE_LIMIT = 4 * 2**20

# A keeper answers within tens of milliseconds; this only bounds a machine that is out of memory.
_ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a keeper is to run.

    Attributes:
        argv: Program and arguments.
        env: Variables set on top of this process's environment.
        unset: Variables of this process's environment taken away.
        tag: Variables that mark whatever comes of the job; no other job has the same ones.
        cpus: CPUs that it is pinned to; None leaves it free.
        segments: See :class:`~replicore.engines.command.Command`.
        log: File for what it prints; its folder exists.
        grace_s: Seconds between SIGTERM and SIGKILL when the keeper itself is told to end.
        pass_fds: File descriptors that it inherits.
    """

    argv: tuple[str, ...]
    log: Path
    tag: Mapping[str, str]
    env: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    cpus: CoreRange | None = None
    segments: tuple[str, ...] = ()
    grace_s: float = 10.0
    pass_fds: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Return the keeper's first line."""
        message = {
            "argv": self.argv,
            "env": dict(self.env),
            "unset": self.unset,
            "cpus": self.cpus.cores if self.cpus else None,
            "segments": self.segments,
            "log": str(self.log),
            "log_bytes": LOG_BYTES,
            "grace_s": self.grace_s,
        }
        return msgspec.json.encode(message) + b"\n"


class Process:
    """A process that runs, or ran, under a keeper. :meth:`start` makes one."""

    def __init__(
        self,
        job: Job,
        popen: subprocess.Popen[bytes],
        sock: socket.socket,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.pid = 0
        self._job = job
        self._popen = popen
        self._socket = sock
        self._reader, self._writer = streams
        self._end: asyncio.Task[Exit] | None = None

    @classmethod
    async def start(cls, job: Job) -> Process:
        """Start the job and return once its program runs.

        Call it from a thread that lives as long as the process shall: the keeper's parent-death
        signal comes when the *thread* ends (PR_SET_PDEATHSIG(2const)).

        Raises:
            ReplicaStartError: The program cannot be run.
            OSError: It could not be run this time.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                popen = _start_keeper(job, theirs.fileno())
        except OSError:
            ours.close()
            raise
        streams = await asyncio.open_unix_connection(sock=ours, limit=_LINE_LIMIT)
        process = cls(job, popen, ours, streams)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                await process._begin()
        except BaseException:
            await asyncio.shield(process._close())
            raise
        process._end = asyncio.create_task(process._watch(), name=f"end of {job.log.stem}")
        return process

    @property
    def keeper_pid(self) -> int:
        return self._popen.pid

    @property
    def exit(self) -> Exit | None:
        """How it ended; None while it runs."""
        return self._end.result() if self._end is not None and self._end.done() else None

    async def wait(self) -> Exit:
        """Return how it ended, once nothing that it forked is left."""
        if self._end is None:
            raise RuntimeError("the process has not started")
        return await asyncio.shield(self._end)

    def unlink_segments(self) -> None:
        """Take away the names of the memory that its processes share; they have it open."""
        self._tell({"unlink": "segments"})

    def stop(self, grace_s: float) -> None:
        """Ask for its end: SIGTERM now and SIGKILL after ``grace_s``; 0 kills at once.

        A second call can only bring the end forward.
        """
        self._tell({"stop": grace_s})

    def kill_keeper(self) -> None:
        """Kill the keeper, and so the process, where it does not obey (stopped, swapped out)."""
        self._popen.kill()

    def _tell(self, message: Mapping[str, object]) -> None:
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def _begin(self) -> None:
        self._writer.write(self._job.encode())
        message = await self._read()
        if message is None:
            raise ChildProcessError(errno.ECHILD, "its keeper died at its start")
        if message["event"] == "failed":
            raise ReplicaStartError(f"{self._job.argv[0]} cannot be run: {message['reason']}")
        self.pid = message["pid"]

    async def _watch(self) -> Exit:
        message = await self._read()
        await self._close()
        # With a report from its keeper nothing is left. Without one, only the process itself is
        # sure to be dead, and whatever it forked has become a child of this process.
        if message is None:
            strays = find_strays(self._job.tag, session=self.pid)
            keeper.unlink_segments(strays, self._job.segments)
            await kill_strays(self._job.tag, session=self.pid)
            return Exit()
        return Exit(
            code=message["code"],
            signal=message["signal"],
            last_lines=tuple(message["last_lines"]),
            log_tail=self._log_tail(),
        )

    def _log_tail(self) -> str:
        try:
            return log_tail(self._job.log)
        except OSError:  # removed meanwhile, or never written
            return ""

    async def _read(self) -> dict[str, Any] | None:
        """Return the keeper's next message; None when it is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        message: dict[str, Any] | None = msgspec.json.decode(line) if line else None
        return message

    async def _close(self) -> None:
        """Wait for the keeper's end; if it lives, the end of file makes it kill what it runs."""
        # close() alone would take effect only in a later turn of the event loop.
        with suppress(OSError):  # a write to a dead keeper has closed it already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._writer.close()
        await asyncio.to_thread(self._popen.wait)


def _start_keeper(job: Job, fd: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-I", "-S", keeper.__file__, str(fd), str(os.getpid())]
    with job.log.open("ab") as log:
        return subprocess.Popen(
            argv,
            env={**os.environ, **job.tag},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=(fd, *job.pass_fds),
            start_new_session=True,  # Ctrl-C at the terminal is the supervisor's to handle
        )
