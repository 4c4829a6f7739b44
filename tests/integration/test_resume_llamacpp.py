"""Streams of a real llama.cpp that break, and what the gateway asks for to go on.

One engine plays two replicas: what lies between the gateway and it records all requests, and cuts
the first replica's streams.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from replicore.engines.engine import ReplicaPlan
from replicore.engines.known import LLAMACPP
from replicore.http.client import Pool, encode_request
from replicore.http.fetch import fetch
from replicore.http.server import Request, Response
from tests.integration.gateway.house import CHAT, TIMEOUT, Client, house, until
from tests.integration.gateway.test_resume import events_of, text_of
from tests.integration.loops import run
from tests.integration.test_llamacpp import plan_of_one_replica, running, until_ready

pytestmark = pytest.mark.engine

COMPLETIONS = "/v1/completions"
LENGTH = 512
MAX_TOKENS = 14

# What was written must have left for the gateway before the connection is cut.
_WRITTEN_AFTER_S = 0.02


@pytest.fixture(name="engine", scope="module")
def run_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaPlan]:
    with plan_of_one_replica(tmp_path_factory.mktemp("cache")) as plan:
        plan = dataclasses.replace(plan, max_model_len=LENGTH)
        with running(plan):
            until_ready(plan)
            yield plan


class Forwarder:
    """A replica that hands everything to an engine, keeps it, and may cut streams.

    Attributes:
        requests: Path and body of each that was sent to ``/v1/``.
        events: Payloads of all events that were sent back, without prefill progress.
    """

    def __init__(self, engine: str, *, cut_after: int | None = None) -> None:
        self._pool = Pool(engine)
        self.cut_after = cut_after
        self.requests: list[tuple[str, Any]] = []
        self.events: list[Any] = []

    def __call__(self, request: Request, response: Response) -> None:
        if request.path.startswith("/v1/"):
            self.requests.append((request.path, json.loads(request.body)))
        sent = encode_request(
            request.method,
            request.path,
            host=self._pool.authority,
            headers=[(b"content-type", b"application/json")],
            body=request.body,
        )
        relay = _Relay(self, response)
        relay.exchange = self._pool.send(sent, relay)
        response.on_disconnect = relay.exchange.cancel

    async def close(self) -> None:
        await self._pool.close()


class _Relay:
    """Passes a response of the engine on."""

    def __init__(self, forwarder: Forwarder, response: Response) -> None:
        self._forwarder = forwarder
        self._response = response
        self._held = b""
        self._left = forwarder.cut_after
        self._status = 0
        self._is_stream = False
        self.exchange: Any = None

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._status = status
        kind = dict(headers)[b"content-type"]
        self._is_stream = kind.startswith(b"text/event-stream")
        if self._is_stream:
            self._response.start(status, [(b"content-type", kind)])

    def on_body(self, data: bytes) -> None:
        self._held += data
        while self._is_stream and (end := self._held.find(b"\n\n") + 2) > 1 and self._left != 0:
            self._pass(self._held[:end])
            self._held = self._held[end:]

    def _pass(self, event: bytes) -> None:
        self._response.write(event)
        payload = event.removeprefix(b"data: ")
        if b"prompt_progress" in event or payload.startswith(b"[DONE]"):
            return
        self._forwarder.events.append(json.loads(payload))
        if self._left is not None:
            self._left -= 1
        if self._left == 0:
            self.exchange.cancel()
            asyncio.get_running_loop().call_later(_WRITTEN_AFTER_S, self._response.abort)

    def on_end(self) -> None:
        if self._is_stream:
            self._response.end()
        else:
            self._response.send(self._status, self._held)

    def on_error(self, _error: Exception) -> None:
        self._response.abort()


@dataclasses.dataclass
class Broken:
    """A stream that broke at the first replica and went on at the second.

    Attributes:
        events: That the client has; they all had one id.
        sent: Text that the client had when the first replica broke.
        rest: Text that the second one sent.
        asked: Body of the request for the continuation.
    """

    events: list[Any]
    sent: str
    rest: str
    asked: Any

    @property
    def finish_reason(self) -> str | None:
        choices = [choice for one in self.events for choice in one["choices"]]
        return [choice["finish_reason"] for choice in choices][-1]  # type: ignore[no-any-return]


@asynccontextmanager
async def two_replicas(engine: str, cut_after: int) -> AsyncIterator[tuple[Forwarder, Forwarder]]:
    first, second = Forwarder(engine, cut_after=cut_after), Forwarder(engine)
    try:
        yield first, second
    finally:
        await first.close()
        await second.close()


async def broken(
    engine: str, path: str, body: dict[str, Any], *, cut_after: int, max_model_len: int = LENGTH
) -> Broken:
    """Return what became of a stream that was cut after so many events."""
    async with (
        two_replicas(engine, cut_after) as (first, second),
        house(first, second, traits=LLAMACPP, max_model_len=max_model_len) as at,
    ):
        at.set_state("r1", "starting")
        client = Client(at.url, {"temperature": 0, "stream": True, **body}, path)
        await until(lambda: at.gateway.stats().queued == 1)
        at.set_state("r1", "ready")
        await client.ended.wait()
        await client.close()
        ((_, asked),) = second.requests
        sent, rest = text_of(first.events), text_of(second.events)
    return Broken(events_of(client.body), sent, rest, asked)


async def ask(engine: str, path: str, body: Any) -> Any:
    reply = await fetch(engine, "POST", path, body=json.dumps(body).encode(), timeout=TIMEOUT)
    return json.loads(reply.body)


async def tokens_of(engine: str, text: str, *, special: bool) -> list[int]:
    body = {"content": text, "add_special": special, "parse_special": special}
    return list((await ask(engine, "/tokenize", body))["tokens"])


async def prompt_tokens(engine: str, path: str, body: dict[str, Any]) -> list[int]:
    prompt = body.get("prompt")
    if path == CHAT:
        prompt = (await ask(engine, "/apply-template", body))["prompt"]
    return await tokens_of(engine, str(prompt), special=True)


def request(path: str, text: str, **options: Any) -> dict[str, Any]:
    said = {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"prompt": text}
    return {**said, "max_tokens": MAX_TOKENS, "ignore_eos": True, **options}


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("cut_after", [1, 2, 6, MAX_TOKENS - 1])
def test_the_continuation_is_asked_for_from_exactly_the_tokens_sent(
    engine: ReplicaPlan, path: str, cut_after: int
) -> None:
    url = engine.endpoint

    async def test() -> None:
        body = request(path, "Tell me a story", stream_options={"include_usage": True})
        one = await broken(url, path, body, cut_after=cut_after)
        prompt = await prompt_tokens(url, path, body)
        sent = await tokens_of(url, one.sent, special=False)

        assert one.asked["prompt"] == prompt + sent
        assert one.asked["max_tokens"] == MAX_TOKENS - len(sent)
        assert one.asked["return_progress"] is True
        assert text_of(one.events) == one.sent + one.rest
        assert one.finish_reason == "length"
        usage = one.events[-1]["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(prompt), MAX_TOKENS)
        assert usage["total_tokens"] == len(prompt) + MAX_TOKENS

    run(test)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_a_stop_string_holds_beyond_the_break(engine: ReplicaPlan, path: str) -> None:
    async def test() -> None:
        body = request(path, "Count: one, two, three, four,", stop=[" the", "o"], max_tokens=60)
        one = await broken(engine.endpoint, path, body, cut_after=2)
        text = text_of(one.events)

        assert one.asked["stop"] == [" the", "o"]
        assert text == one.sent + one.rest
        assert not any(stop in text for stop in (" the", "o"))
        assert one.finish_reason == "stop"

    run(test)


@pytest.mark.parametrize("cut_after", [1, 2, 3, 5])
def test_no_character_is_lost_or_halved(engine: ReplicaPlan, cut_after: int) -> None:
    async def test() -> None:
        prompt = "😀 😃 😄 😀 😃 😄 é ü 日本 😀 😃 😄 😀 😃 😄 é ü 日本 😀 😃"
        body = request(COMPLETIONS, prompt, max_tokens=24)
        one = await broken(engine.endpoint, COMPLETIONS, body, cut_after=cut_after)
        text = text_of(one.events)

        assert text == one.sent + one.rest
        assert "\ufffd" not in text
        assert not text.isascii()

    run(test)


def test_a_completion_without_a_limit_goes_on_as_far_as_the_engine_would(
    engine: ReplicaPlan,
) -> None:
    url = engine.endpoint

    async def test() -> None:
        body = request(COMPLETIONS, "Tell me a story", max_tokens=None)
        one = await broken(url, COMPLETIONS, body, cut_after=20, max_model_len=48)
        tokens = await prompt_tokens(url, COMPLETIONS, body)
        tokens += await tokens_of(url, one.sent, special=False)

        assert one.asked["max_tokens"] == 48 - len(tokens)
        assert text_of(one.events) == one.sent + one.rest

    run(test)
