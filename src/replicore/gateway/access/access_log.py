"""The access log: one JSON object a line for every request, and never what it said.

Lines are kept for at most a second, or until there are 64 KiB of them, and then appended with one
system call, so that the workers of one gateway share a file without mixing their lines. A file that
was moved away is begun anew. Lines that cannot be written are dropped and counted: a full disk is
no reason to stop serving, or to fill up the memory.
"""

from __future__ import annotations

import logging
import os
from asyncio import TimerHandle
from collections.abc import Callable
from pathlib import Path
from time import gmtime, strftime
from typing import Protocol

import msgspec

from replicore.errors import ConfigError
from replicore.gateway.record import Finished, Outcome

_DELAY_S = 1.0
_BUFFER_BYTES = 64 * 1024

# No waiting, should the path be a pipe: neither for a reader nor for room.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC

_logger = logging.getLogger(__name__)


class CallLater(Protocol):
    """As ``loop.call_later``."""

    def __call__(self, delay: float, callback: Callable[[], None], /) -> TimerHandle: ...


class Line(msgspec.Struct, gc=False, omit_defaults=True):
    """What is told of a request; see :class:`Finished`, of which this is all but the wall clock.

    Attributes:
        time: When the request arrived, RFC 3339 in UTC.
    """

    time: str
    request_id: str
    caller: str
    route: str
    stream: bool
    status: int
    outcome: Outcome
    replica: str | None
    queue_s: float
    ttft_s: float | None
    tpot_s: float | None
    duration_s: float
    prompt_tokens: int | None
    output_tokens: int | None
    attempts: int
    resumes: int
    traceparent: str = ""
    client_traceparent: str = ""


class AccessLog:
    """Appends to one file.

    Attributes:
        lost: Lines that could not be written.
    """

    __slots__ = (
        "_buffer",
        "_call_later",
        "_encode_into",
        "_fd",
        "_file",
        "_path",
        "_second",
        "_second_text",
        "_timer",
        "_torn",
        "_troubled",
        "_waiting",
        "lost",
    )

    def __init__(self, path: Path, fd: int, call_later: CallLater) -> None:
        self._path = path
        self._fd = fd
        self._file = _identity(os.fstat(fd))
        self._call_later = call_later
        self._encode_into = msgspec.json.Encoder().encode_into
        self._buffer = bytearray()
        self._waiting = 0
        self._timer: TimerHandle | None = None
        self._second = -1
        self._second_text = ""
        self._torn = False
        self._troubled = False
        self.lost = 0

    @classmethod
    def open(cls, path: Path, *, call_later: CallLater) -> AccessLog:
        """Return the log; the file is made if it is not there.

        Raises:
            ConfigError: It cannot be written.
        """
        try:
            return cls(path, _open(path), call_later)
        except OSError as error:
            raise ConfigError(
                f"{path}: the access log cannot be written ({error.strerror}); give a path in a "
                "folder that is there and that the gateway may write to"
            ) from error

    def write(self, finished: Finished) -> None:
        """Tell of a request, within a second."""
        buffer = self._buffer
        self._encode_into(self._line(finished), buffer, -1)
        buffer += b"\n"
        self._waiting += 1
        if len(buffer) >= _BUFFER_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = self._call_later(_DELAY_S, self.flush)

    def flush(self) -> None:
        """Append what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._buffer:
            return
        in_place = not self._is_moved() or self._open_again()
        if self._append() and in_place:
            self._troubled = False
        self._buffer.clear()
        self._waiting = 0

    def reopen(self) -> None:
        """Append what waits, and go on in the file that has the name now."""
        self.flush()
        self._open_again()

    def close(self) -> None:
        """Append what waits and close the file."""
        self.flush()
        os.close(self._fd)

    def _line(self, f: Finished) -> Line:
        return Line(
            self._time(f.started_at),
            f.request_id,
            f.caller,
            f.route,
            f.stream,
            f.status,
            f.outcome,
            f.replica,
            round(f.queue_s, 6),
            None if f.ttft_s is None else round(f.ttft_s, 6),
            None if f.tpot_s is None else round(f.tpot_s, 6),
            round(f.duration_s, 6),
            f.prompt_tokens,
            f.output_tokens,
            f.attempts,
            f.resumes,
            f.traceparent,
            f.client_traceparent,
        )

    def _time(self, started_at: float) -> str:
        """Return RFC 3339 to the millisecond; requests of the same second share most of it."""
        second = int(started_at)
        if second != self._second:
            self._second = second
            self._second_text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        return f"{self._second_text}.{int((started_at - second) * 1000):03d}Z"

    def _append(self) -> bool:
        buffer, written = self._buffer, 0
        if self._torn:
            buffer[:0] = b"\n"
        try:
            # All at once, but for a disk that is nearly full and a pipe.
            while written < len(buffer):
                written += os.write(self._fd, buffer[written:])
        except OSError as error:
            self.lost += min(self._waiting, buffer.count(b"\n", written))
            self._warn(error)
        if written:
            self._torn = buffer[written - 1] != ord("\n")
        return written == len(buffer)

    def _is_moved(self) -> bool:
        try:
            return _identity(os.stat(self._path)) != self._file
        except OSError:
            return True

    def _open_again(self) -> bool:
        try:
            fd = _open(self._path)
        except OSError as error:
            # The file that was moved away is still there to be written to.
            self._warn(error)
            return False
        os.close(self._fd)
        self._fd, self._file, self._torn = fd, _identity(os.fstat(fd)), False
        return True

    def _warn(self, error: OSError) -> None:
        """Log the first of a row of failures."""
        if not self._troubled:
            _logger.warning(
                "%s: the access log cannot be written (%s); requests are served all the same",
                self._path,
                error.strerror,
            )
        self._troubled = True


def _open(path: Path) -> int:
    return os.open(path, _FLAGS, 0o640)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
