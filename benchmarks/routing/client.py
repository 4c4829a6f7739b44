"""Plays sessions against one front door and stamps what comes back."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.routing.workload import Session, Turn
from replicore.bench.client.stream import Usage, read_stream
from replicore.errors import UpstreamError
from replicore.http.client import Pool, encode_request

_TIMEOUT_S = 120.0
_FIELDS = [(b"content-type", b"application/json")]


@dataclass(frozen=True, slots=True)
class Answer:
    """One turn that was answered.

    Attributes:
        ttft_s: Until the first content.
        e2e_s: Until the last.
        ended_s: On the clock of ``time.perf_counter``.
    """

    ttft_s: float
    e2e_s: float
    ended_s: float
    usage: Usage
    text: str


@dataclass(frozen=True, slots=True)
class Played:
    """All answers, and how many turns had none.

    Attributes:
        busy_s: Until the first lane had nothing more to ask, or, where each session has its own
            lane, until all was over.
        busy_tokens: Output tokens of the answers that ended by then.
    """

    answers: list[Answer]
    failures: int
    busy_s: float
    busy_tokens: int


async def play(url: str, model: str, sessions: Sequence[Session]) -> Played:
    """Play all sessions; those of a lane one after the other."""
    lanes = defaultdict(list)
    for session in sessions:
        lanes[session.lane].append(session)
    pool = Pool(url)
    player = _Player(pool, model)
    started = time.perf_counter()
    try:
        ends = await asyncio.gather(*(player.play_lane(one, started) for one in lanes.values()))
    finally:
        await pool.close()
    end = min(ends) if len(lanes) < len(sessions) else max(ends)
    tokens = sum(one.usage.completion_tokens for one in player.answers if one.ended_s <= end)
    return Played(player.answers, player.failures, end - started, tokens)


class _Player:
    def __init__(self, pool: Pool, model: str) -> None:
        self._pool = pool
        self._model = model
        self.answers: list[Answer] = []
        self.failures = 0

    async def play_lane(self, sessions: Sequence[Session], started: float) -> float:
        """Return when it was over."""
        for session in sessions:
            await asyncio.sleep(session.start_s - (time.perf_counter() - started))
            await self._play(session)
        return time.perf_counter()

    async def _play(self, session: Session) -> None:
        messages = [{"role": "system", "content": session.system}]
        for turn in session.turns:
            await asyncio.sleep(turn.pause_s)
            messages.append({"role": "user", "content": turn.text})
            try:
                answer = await self._ask(messages, turn)
            except (UpstreamError, TimeoutError):
                self.failures += 1
                return
            self.answers.append(answer)
            messages.append({"role": "assistant", "content": answer.text})

    async def _ask(self, messages: list[dict[str, str]], turn: Turn) -> Answer:
        body = {
            "model": self._model,
            "messages": messages,
            "max_tokens": turn.output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        request = encode_request(
            "POST",
            "/v1/chat/completions",
            host=self._pool.authority,
            headers=_FIELDS,
            body=json.dumps(body).encode(),
        )
        sink = _Sink()
        async with asyncio.timeout(_TIMEOUT_S):
            exchange = self._pool.send(request, sink)
            try:
                await sink.over.wait()
            finally:
                if not exchange.done:
                    exchange.cancel()
        return sink.answer()


class _Sink:
    """Collects one answer's bytes with their times."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self._sent_s = time.perf_counter()
        self._status = 0
        self._arrivals: list[tuple[float, bytes]] = []
        self._error: UpstreamError | None = None

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._status = status

    def on_body(self, data: bytes) -> None:
        self._arrivals.append((time.perf_counter(), data))

    def on_end(self) -> None:
        self.over.set()

    def on_error(self, error: UpstreamError) -> None:
        self._error = error
        self.over.set()

    def answer(self) -> Answer:
        """Return what came.

        Raises:
            UpstreamError: It is not a whole answer.
        """
        if self._error is not None:
            raise self._error
        stream = read_stream(self._arrivals)
        if self._status != 200 or not stream.chunks or stream.usage is None:
            raise UpstreamError(f"not a whole answer: status {self._status}, {self._arrivals[:1]}")
        return Answer(
            ttft_s=stream.chunks[0].time - self._sent_s,
            e2e_s=stream.chunks[-1].time - self._sent_s,
            ended_s=stream.chunks[-1].time,
            usage=stream.usage,
            text=_text(b"".join(data for _, data in self._arrivals)),
        )


def _text(stream: bytes) -> str:
    """Return the content of a chat stream."""
    payloads = (line[5:].strip() for line in stream.split(b"\n") if line.startswith(b"data:"))
    events = (json.loads(payload) for payload in payloads if payload.startswith(b"{"))
    deltas = (choice["delta"] for event in events for choice in event.get("choices", ()))
    return "".join(delta.get("content") or "" for delta in deltas)
