"""Streams that go on where a replica broke off, over simulators in this process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from replicore.engines.known import SIMULATOR
from replicore.engines.sim.faults import parse_faults
from replicore.engines.sim.options import SimOptions
from replicore.engines.sim.scheduler import Timing
from replicore.engines.sim.server import SimServer
from replicore.gateway.table import Settings
from replicore.http.server import Handler, Request, Response
from tests.integration.gateway.house import CHAT, Client, House, event, house
from tests.integration.loops import run

COMPLETIONS = "/v1/completions"
LENGTH = 2048
FAST = Timing(prefill_tokens_per_s=1e6, decode_tokens_per_s=20_000)
ROUND_ROBIN = Settings(policy="round_robin")


def die(fault: str) -> None:
    raise AssertionError(fault)


class Recorded:
    """A simulator that keeps the requests it got."""

    def __init__(self, *faults: str) -> None:
        options = SimOptions(model="m", slots=64, max_model_len=LENGTH, timing=FAST)
        self.requests: list[Any] = []
        self._sim = SimServer(options, faults=parse_faults(faults), die=die)

    def __call__(self, request: Request, response: Response) -> None:
        if request.path.startswith("/v1/"):
            self.requests.append((request.path, json.loads(request.body)))
        self._sim.handle(request, response)


def events_of(body: bytes) -> list[Any]:
    """Return the events without what differs from one stream to the next."""
    payloads = [part.removeprefix(b"data: ") for part in body.split(b"\n\n") if part]
    assert payloads[-1] == b"[DONE]"
    events = [json.loads(payload) for payload in payloads[:-1]]
    assert len({event["id"] for event in events}) == 1
    for one in events:
        del one["id"], one["created"]
        if one.get("usage"):
            one["usage"].pop("prompt_tokens_details", None)
    return events


def text_of(events: list[Any]) -> str:
    choices = [choice for one in events for choice in one["choices"]]
    return "".join(
        choice["delta"].get("content") or "" if "delta" in choice else choice["text"]
        for choice in choices
    )


def without_details(events: list[Any]) -> list[Any]:
    """Return the events that a client can tell apart: those that say something."""
    return [
        one
        for one in events
        if text_of([one]) or not one["choices"] or one["choices"][0]["finish_reason"]
    ]


async def stream(at: House, path: str, body: dict[str, Any]) -> Client:
    client = Client(at.url, {**body, "stream": True}, path)
    await client.ended.wait()
    await client.close()
    return client


def prompt_of(path: str, text: str) -> dict[str, Any]:
    if path == CHAT:
        return {"messages": [{"role": "user", "content": text}]}
    return {"prompt": text}


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("broken_after", [1, 2, 7, 39])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stream_options": {"include_usage": True}},
        {"stop": ["mo", " gofa."]},
        {"stop": "e n", "stream_options": {"include_usage": True}},
        {"return_token_ids": True},
        {"stop": ["mo", " gofa."], "return_token_ids": True},
    ],
)
def test_a_broken_stream_goes_on_byte_for_byte(
    path: str, broken_after: int, options: dict[str, Any]
) -> None:
    body = {**prompt_of(path, "tell me more"), "max_tokens": 40, "ignore_eos": True, **options}

    async def test() -> None:
        async with house(
            Recorded(), settings=ROUND_ROBIN, traits=SIMULATOR, max_model_len=LENGTH
        ) as at:
            whole = await stream(at, path, body)
        broken, healthy = Recorded(f"reset-after-tokens={broken_after}"), Recorded()
        async with house(
            broken, healthy, settings=ROUND_ROBIN, traits=SIMULATOR, max_model_len=LENGTH
        ) as at:
            clients = [await stream(at, path, body) for _ in range(2)]
            assert len(healthy.requests) - len(broken.requests) in (0, 1)

        expected = events_of(whole.body)
        for client in clients:
            assert without_details(events_of(client.body)) == without_details(expected)

    run(test)


def test_the_continuation_is_asked_for_from_exactly_the_tokens_sent() -> None:
    async def test() -> None:
        broken, healthy = Recorded("reset-after-tokens=5"), Recorded()
        async with house(broken, healthy, traits=SIMULATOR, max_model_len=LENGTH) as at:
            body = {**prompt_of(CHAT, "hello"), "max_tokens": 9, "return_token_ids": True}
            clients = [await stream(at, CHAT, body) for _ in range(2)]

        events = events_of(clients[0].body)
        prompt = events[0]["prompt_token_ids"]
        ids = [i for one in events for c in one["choices"] for i in c.get("token_ids", [])]
        (continuation,) = [asked for path, asked in healthy.requests if path == COMPLETIONS]
        assert len(ids) == 9
        assert continuation["prompt"] == prompt + ids[:5]
        assert continuation["max_tokens"] == 4

    run(test)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"guided_regex": "a+"}, "guided_regex"),
        ({"some_new_switch": 3}, "some_new_switch"),
    ],
)
def test_what_cannot_be_continued_ends_with_an_error_event(
    options: dict[str, Any], reason: str
) -> None:
    async def test() -> None:
        engine = Recorded("reset-after-tokens=3")
        async with house(engine, engine, traits=SIMULATOR, max_model_len=LENGTH) as at:
            client = await stream(at, CHAT, {**prompt_of(CHAT, "hi"), "max_tokens": 9, **options})

        last = client.body.split(b"\n\n")[-2]
        error = json.loads(last.removeprefix(b"data: "))["error"]
        assert error["type"] == "upstream_error"
        assert reason in error["message"]
        assert not client.failed

    run(test)


def test_a_stream_that_breaks_thrice_ends_with_an_error_event() -> None:
    async def test() -> None:
        broken = Recorded("reset-after-tokens=3")
        engines: list[Handler] = [broken] * 4
        async with house(*engines, traits=SIMULATOR, max_model_len=LENGTH) as at:
            client = await stream(at, CHAT, {**prompt_of(CHAT, "hi"), "max_tokens": 90})

        assert b"upstream_error" in client.body
        assert len(broken.requests) == 3

    run(test)


@pytest.mark.parametrize("breaks", [2, 3])
def test_a_stream_survives_two_breaks(breaks: int) -> None:
    body = {**prompt_of(CHAT, "hi"), "max_tokens": 30, "ignore_eos": True}

    async def test() -> None:
        async with house(Recorded(), traits=SIMULATOR, max_model_len=LENGTH) as at:
            whole = await stream(at, CHAT, body)
        first, second, third = (
            Recorded("reset-after-tokens=4"),
            Recorded("reset-after-tokens=9"),
            Recorded(),
        )
        async with house(first, second, third, traits=SIMULATOR, max_model_len=LENGTH) as at:
            clients = [await stream(at, CHAT, body) for _ in range(breaks)]

        for client in clients:
            assert text_of(events_of(client.body)) == text_of(events_of(whole.body))

    run(test)


def test_a_malformed_event_is_never_seen_and_the_stream_goes_on() -> None:
    body = {**prompt_of(CHAT, "hi"), "max_tokens": 20, "ignore_eos": True}

    async def test() -> None:
        async with house(Recorded(), traits=SIMULATOR, max_model_len=LENGTH) as at:
            whole = await stream(at, CHAT, body)
        broken = Recorded("malformed-sse-after=6")
        async with house(broken, Recorded(), traits=SIMULATOR, max_model_len=LENGTH) as at:
            clients = [await stream(at, CHAT, body) for _ in range(2)]

        for client in clients:
            assert text_of(events_of(client.body)) == text_of(events_of(whole.body))

    run(test)


def test_an_end_without_its_mark_is_a_failure_of_the_replica() -> None:
    def short(_request: Request, response: Response) -> None:
        response.start(200, [(b"content-type", b"text/event-stream")])
        response.write(event("a"))
        response.end()

    async def test() -> None:
        async with house(short, traits=SIMULATOR, settings=Settings(queue_timeout=0.05)) as at:
            client = await stream(at, CHAT, {"messages": []})

        assert b"upstream_error" in client.body

    run(test)


def test_a_client_that_leaves_during_a_resumption_leaves_nothing_behind() -> None:
    async def test() -> None:
        never = asyncio.Event()

        def silent(_request: Request, response: Response) -> None:
            response.on_disconnect = never.set

        broken = Recorded("reset-after-tokens=3")
        async with house(broken, silent, traits=SIMULATOR, max_model_len=LENGTH) as at:
            at.set_state("r1", "starting")
            client = Client(
                at.url, {**prompt_of(CHAT, "hi"), "stream": True, "max_tokens": 9}, CHAT
            )
            await client.got.wait()
            at.set_state("r1", "ready")
            while not at.gateway.stats().replicas["r1"].outstanding:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await client.close()
            while at.gateway.stats().outstanding:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    run(test)  # `house` looks at the counters
