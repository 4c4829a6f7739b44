"""The load: canned requests; of the answers only the end and the tokens are looked at."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import cast

from benchmarks.gateway import canned

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TAIL = 48  # bytes that hold the last event and the last chunk


class Tally:
    """What all connections have seen so far.

    Attributes:
        reads: Calls with bytes; with one token in each they arrived singly.
        wrong: Answers with another status, another number of tokens, or without an end.
        latencies: Seconds from a request's sending to its answer's last byte.
    """

    __slots__ = ("done", "latencies", "reads", "tokens", "wrong")

    def __init__(self) -> None:
        self.done = 0
        self.tokens = 0
        self.reads = 0
        self.wrong = 0
        self.latencies: list[float] = []


class Connection(asyncio.Protocol):
    """One request after the other.

    Args:
        tokens: How many a right answer has.
        on_done: Called after every answer.

    Attributes:
        tokens: Of the answer so far.
    """

    __slots__ = (
        "_closed",
        "_expected",
        "_head",
        "_left",
        "_ok",
        "_on_done",
        "_request",
        "_sent_at",
        "_stream",
        "_tail",
        "_tally",
        "_transport",
        "tokens",
    )

    def __init__(
        self,
        tally: Tally,
        request: bytes,
        *,
        tokens: int,
        stream: bool,
        on_done: Callable[[Connection], None],
    ) -> None:
        self._tally = tally
        self._request = request
        self._expected = tokens
        self._stream = stream
        self._on_done = on_done
        self._sent_at = 0.0
        self._head: bytes | None = b""  # what came of it; None once it is whole
        self._left: int | None = None  # bytes of the body, where its length was told
        self._ok = False
        self._tail = b""
        self._closed = False
        self.tokens = 0

    def send(self) -> None:
        if not self._closed:
            self.tokens = 0
            self._head = b""
            self._tail = b""
            self._sent_at = time.perf_counter()
            self._transport.write(self._request)

    def close(self) -> None:
        self._closed = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.wrong += not self._closed
        self._closed = True

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        tally.reads += 1
        if self._head is not None:
            data = self._after_head(self._head + data)
        marks = data.count(canned.MARK)
        self.tokens += marks
        tally.tokens += marks
        self._tail = data[-_TAIL:] if len(data) >= _TAIL else (self._tail + data)[-_TAIL:]
        if self._left is None:
            if self._tail.endswith(canned.STREAM_END):
                self._finish()
        else:
            self._left -= len(data)
            if self._left == 0:
                self._finish()

    def _after_head(self, data: bytes) -> bytes:
        """Return what follows the head, once it is whole."""
        end = data.find(b"\r\n\r\n") + 4
        if end == 3:
            self._head = data
            return b""
        self._head = None
        self._ok = data.startswith(b"HTTP/1.1 200 ")
        length = _LENGTH.search(data, 0, end)
        self._left = int(length[1]) if length else None
        return data[end:]

    def _finish(self) -> None:
        tally = self._tally
        tally.done += 1
        tally.latencies.append(time.perf_counter() - self._sent_at)
        ended = not self._stream or b"[DONE]" in self._tail
        tally.wrong += not (self._ok and ended and self.tokens == self._expected)
        self._on_done(self)
