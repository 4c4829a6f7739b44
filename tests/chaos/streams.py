"""Many open streams, a kill in the middle of them, and what became of each.

Used by ``test_resume.py`` and by ``benchmarks/resume.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from replicore.http.client import Pool, encode_request
from tests.integration.deployment import Up
from tests.integration.gateway.test_resume import events_of, text_of

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
TIMEOUT_S = 240.0

_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Ask:
    """One request: the path, and the body without ``stream``."""

    path: str
    body: dict[str, Any]


def ask(
    index: int, *, max_tokens: int, chat_every: int = 2, text: str = "{}. Tell me of that number"
) -> Ask:
    """Return one of many different requests, of both routes, some with stop strings or usage."""
    text = text.format(index)
    body: dict[str, Any] = {"max_tokens": max_tokens, "temperature": 0, "ignore_eos": True}
    if index % 3 == 0:
        body["stream_options"] = {"include_usage": True}
    if index % 5 == 0:
        body["stop"] = ["never said", " nor this"]
    if index % chat_every:
        return Ask(COMPLETIONS, {**body, "prompt": text})
    return Ask(CHAT, {**body, "messages": [{"role": "user", "content": text}]})


class Stream:
    """One open stream: all that came, and when.

    Attributes:
        arrivals: Times of the reads that brought a part of the body.
        struck_at: When the blow fell while it was open; None if it was over by then.
        struck_events: Events that it had then.
    """

    def __init__(self, pool: Pool, asked: Ask, moved: asyncio.Event) -> None:
        body = json.dumps({**asked.body, "stream": True}).encode()
        fields = [(b"content-type", b"application/json")]
        self._moved = moved
        self.asked = asked
        self.status = 0
        self.replica = b""
        self.body = b""
        self.arrivals: list[float] = []
        self.failed = False
        self.ended = False
        self.struck_at: float | None = None
        self.struck_events = 0
        self.sent_at = time.perf_counter()
        request = encode_request("POST", asked.path, host=pool.authority, headers=fields, body=body)
        self.exchange = pool.send(request, self)

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.replica = status, dict(headers).get(b"x-replicore-replica", b"")

    def on_body(self, data: bytes) -> None:
        self.arrivals.append(time.perf_counter())
        self.body += data
        self._moved.set()

    def on_end(self) -> None:
        self.ended = True
        self._moved.set()

    def on_error(self, _error: Exception) -> None:
        self.failed = True
        self.on_end()

    @property
    def events(self) -> int:
        return self.body.count(b"\n\n")

    @property
    def is_whole(self) -> bool:
        """Whether it came to its proper end."""
        return self.status == 200 and not self.failed and self.body.endswith(_DONE)

    def mark(self) -> None:
        """Take note that the blow has fallen."""
        if not self.ended:
            self.struck_at, self.struck_events = time.perf_counter(), self.events

    @property
    def ttft_s(self) -> float:
        return self.arrivals[0] - self.sent_at

    @property
    def gap_s(self) -> float:
        """The longest silence that ended after the blow, beyond the stream's usual one."""
        gaps = list(pairwise(self.arrivals))
        usual = statistics.median(after - before for before, after in gaps)
        return max(end - start for start, end in gaps if end > (self.struck_at or 0.0)) - usual

    def objects(self) -> list[Any]:
        """Return the events without what differs from one stream to the next."""
        return events_of(self.body)

    def text(self, events: int | None = None) -> str:
        """Return its text, or that of its first events."""
        return text_of(self.objects()[:events])


async def run_streams(
    url: str,
    asks: Sequence[Ask],
    *,
    strike: Callable[[], None] | None = None,
    after_events: int = 4,
) -> list[Stream]:
    """Keep a stream open for each request, until all have ended.

    Args:
        strike: Called once, when every stream has ``after_events`` events, or its end.
    """
    pool, moved = Pool(url), asyncio.Event()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            streams = [Stream(pool, one, moved) for one in asks]
            if strike is not None:
                await until(
                    lambda: all(one.ended or one.events >= after_events for one in streams), moved
                )
                strike()
                for one in streams:
                    one.mark()
            await until(lambda: all(one.ended for one in streams), moved)
    finally:
        await pool.close()
    return streams


async def until(condition: Callable[[], bool], moved: asyncio.Event) -> None:
    """Return when ``condition`` holds; it can change with every event only."""
    while not condition():
        moved.clear()
        await moved.wait()


def kill_engine(at: Up, index: int) -> None:
    pid = at.replica(index).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def resumed(streams: Sequence[Stream], replica: str) -> list[Stream]:
    """Return those that were open at a replica when it was killed."""
    return [one for one in streams if one.replica == replica.encode() and one.struck_at is not None]
