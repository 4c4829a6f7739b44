"""Replicas that fail in every way that does not end their process, seen by the client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from replicore.engines.known import SIMULATOR
from replicore.gateway import server
from replicore.gateway.routing import breaker, budget
from replicore.gateway.table import Settings
from replicore.http.client import Pool
from replicore.http.server import Handler, Request, Response
from tests.integration.gateway.house import (
    CHAT,
    EVENT_STREAM,
    Client,
    FakeEngine,
    House,
    answering,
    crashing,
    event,
    house,
    until,
)
from tests.integration.gateway.test_resume import LENGTH, Recorded, events_of, prompt_of, text_of
from tests.integration.loops import run

HI: dict[str, Any] = {
    **prompt_of(CHAT, "hi"),
    "stream": True,
    "max_tokens": 9,
    "ignore_eos": True,
}
DONE = b"data: [DONE]\n\n"


def refusing(status: int) -> Handler:
    """An engine that answers everything with an error of its own."""

    def answer(_request: Request, response: Response) -> None:
        response.send(status, b'{"error": {"message": "its own words"}}')

    return answer


def streaming(*events: bytes) -> Handler:
    """An engine that answers everything with these events, and ends the stream."""

    def answer(_request: Request, response: Response) -> None:
        response.start(200, EVENT_STREAM)
        response.write(b"".join(events))
        response.end()

    return answer


@pytest.fixture(name="no_budget")
def _no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be sent twice."""
    for source in ("_SHARE", "_RESERVE", "_RESERVE_PER_S"):
        monkeypatch.setattr(budget, source, 0.0)


def payloads(body: bytes) -> list[Any]:
    """Return the objects of a stream that is well-formed to its end."""
    *parts, rest = body.split(b"\n\n")
    assert rest == b""
    assert all(part.startswith(b"data: ") for part in parts)
    texts = [part.removeprefix(b"data: ") for part in parts]
    return [None if text == b"[DONE]" else json.loads(text) for text in texts]


async def stream(at: House, body: dict[str, Any]) -> Client:
    client = Client(at.url, body)
    await client.ended.wait()
    await client.close()
    return client


async def broken_off(at: House, body: dict[str, Any]) -> Client:
    """Return a client whose stream began at r0, which breaks it, and went on at r1."""
    at.set_state("r1", "starting")
    client = Client(at.url, body)
    await until(lambda: at.gateway.stats().queued == 1)
    at.set_state("r1", "ready")
    await client.ended.wait()
    await client.close()
    return client


# our own limits


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no file or socket beyond those that it has."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_running_out_of_files_is_not_laid_to_the_replica() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            pool = Pool(at.url)
            await pool.open(1)
            await until(lambda: len(at.servers[-1].connections) == 1)
            with no_more_files():
                for _ in range(2 * breaker.THRESHOLD):
                    refused = Client(at.url, {}, pool=pool)
                    await refused.ended.wait()
            breaker_state = at.gateway.stats().replicas["r0"].breaker
            served = await stream(at, {})
            await pool.close()

        assert (refused.status, breaker_state, served.status) == (502, "closed", 200)

    run(test)


# answers of a whole engine


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_answer_is_asked_for_elsewhere(status: int, stream: bool) -> None:
    async def test() -> None:
        async with house(refusing(status), answering("b")) as at:
            replies = [await at.post({"stream": stream}) for _ in range(4)]

        assert [reply.status for reply in replies] == [200] * 4
        attempts = [reply.headers.get(b"x-replicore-attempts") for reply in replies]
        assert set(attempts) == {None, b"2"}

    run(test)


def test_an_error_answer_of_two_replicas_is_passed_on_and_no_third_is_asked() -> None:
    async def test() -> None:
        async with house(refusing(503), refusing(503), refusing(503)) as at:
            reply = await at.post({})
            requests = sum(one.requests for one in at.gateway.stats().replicas.values())

        assert (reply.status, requests) == (503, 2)
        assert b"its own words" in reply.body
        assert reply.headers[b"x-replicore-attempts"] == b"2"

    run(test)


@pytest.mark.parametrize("replicas", [[refusing(503)], [refusing(400), answering("b")]])
def test_an_answer_that_nobody_could_better_is_passed_on_at_once(replicas: list[Handler]) -> None:
    async def test() -> None:
        async with house(*replicas, settings=Settings(policy="round_robin")) as at:
            replies = [await at.post({}) for _ in range(2)]

        assert any(b"its own words" in reply.body for reply in replies)
        assert all(b"x-replicore-attempts" not in reply.headers for reply in replies)

    run(test)


@pytest.mark.usefixtures("no_budget")
def test_without_a_budget_an_error_answer_is_passed_on() -> None:
    async def test() -> None:
        async with house(refusing(503), refusing(503)) as at:
            reply = await at.post({})

        assert (reply.status, b"its own words" in reply.body) == (503, True)

    run(test)


@pytest.mark.usefixtures("no_budget")
def test_without_a_budget_a_dead_replica_is_a_502() -> None:
    async def test() -> None:
        async with house(crashing, crashing) as at:
            reply = await at.post({})
            requests = sum(one.requests for one in at.gateway.stats().replicas.values())

        assert (reply.status, requests) == (502, 1)
        assert "retries too much" in json.loads(reply.body)["error"]["message"]

    run(test)


# the breaker


class Flaky:
    """An engine that resets every connection while it is broken."""

    def __init__(self) -> None:
        self.is_broken = False
        self.asked = 0

    def __call__(self, _request: Request, response: Response) -> None:
        self.asked += 1
        if self.is_broken:
            response.abort()
        else:
            response.send(200, b"{}")


def state_of(at: House, name: str = "r0") -> str:
    return at.gateway.stats().replicas[name].breaker


def test_a_replica_that_resets_connections_is_left_alone_until_it_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "FIRST_PAUSE_S", 0.3)

    async def test() -> None:
        flaky = Flaky()
        flaky.is_broken = True
        async with house(flaky, answering("b"), settings=Settings(policy="round_robin")) as at:
            while state_of(at) == "closed":
                assert (await at.post({})).status == 200
            asked = flaky.asked
            assert (await at.post({})).headers[b"x-replicore-replica"] == b"r1"
            assert flaky.asked == asked
            flaky.is_broken = False
            await until(lambda: state_of(at) == "half_open")
            while state_of(at) != "closed":
                await at.post({})
            names = [(await at.post({})).headers[b"x-replicore-replica"] for _ in range(2)]

        assert set(names) == {b"r0", b"r1"}

    run(test)


def test_resets_with_answers_between_them_open_no_breaker() -> None:
    async def test() -> None:
        flaky = Flaky()
        async with house(flaky, answering("b")) as at:
            for is_broken in [True, False] * breaker.THRESHOLD:
                flaky.is_broken = is_broken
                at.set_state("r1", "starting")
                post = asyncio.create_task(at.post({}))
                if is_broken:
                    await until(lambda: at.gateway.stats().queued == 1)
                    at.set_state("r1", "ready")
                assert (await post).status == 200
                assert state_of(at) == "closed"

    run(test)


# stalls


@pytest.fixture(name="_sweeps_often")
def _sweep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SWEEP_S", 0.02)


QUICK = Settings(policy="round_robin", stall_timeout=0.1)


@pytest.mark.usefixtures("_sweeps_often")
def test_streams_of_a_stalled_replica_go_on_elsewhere() -> None:
    async def test() -> None:
        async with house(Recorded(), traits=SIMULATOR, max_model_len=LENGTH) as at:
            whole = await stream(at, HI)
        stalled = Recorded("stall-after-tokens=4")
        async with house(
            stalled, Recorded(), settings=QUICK, traits=SIMULATOR, max_model_len=LENGTH
        ) as at:
            clients = await asyncio.gather(*(stream(at, HI) for _ in range(4)))
            assert state_of(at) == "open"

        texts = {text_of(events_of(client.body)) for client in clients}
        assert texts == {text_of(events_of(whole.body))}

    run(test)


@pytest.mark.usefixtures("_sweeps_often")
def test_a_request_without_a_stream_stays_at_a_stalled_replica() -> None:
    async def test() -> None:
        silent = FakeEngine()
        async with house(silent, answering("b"), settings=QUICK) as at:
            at.set_state("r1", "starting")
            post = asyncio.create_task(at.post({}))
            await silent.arrived.wait()
            client = Client(at.url, {"stream": True})
            await until(lambda: len(silent.requests) == 2)
            at.set_state("r1", "ready")
            await client.ended.wait()
            await client.close()
            silent.responses[0].send(200, b"late")
            reply = await post

        assert json.loads(client.body) == {"engine": "b"}
        assert (reply.body, reply.headers[b"x-replicore-replica"]) == (b"late", b"r0")

    run(test)


# what is left to end where a stream cannot go on


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_refused_continuation_ends_in_a_well_formed_error_event(status: int) -> None:
    async def test() -> None:
        broken = Recorded("reset-after-tokens=3")
        settings = Settings(queue_timeout=0.05)
        async with house(
            broken, refusing(status), settings=settings, traits=SIMULATOR, max_model_len=LENGTH
        ) as at:
            client = await broken_off(at, HI)

        *_, last = payloads(client.body)
        assert last["error"]["type"] == "upstream_error"
        assert not client.failed

    run(test)


def test_a_refused_continuation_goes_to_a_third_replica() -> None:
    async def test() -> None:
        async with house(Recorded(), traits=SIMULATOR, max_model_len=LENGTH) as at:
            whole = await stream(at, HI)
        engines: list[Handler] = [
            Recorded("reset-after-tokens=3"),
            refusing(503),
            Recorded(),
        ]
        async with house(*engines, traits=SIMULATOR, max_model_len=LENGTH) as at:
            at.set_state("r2", "starting")
            client = await broken_off_then_refused(at)

        assert text_of(events_of(client.body)) == text_of(events_of(whole.body))

    run(test)


async def broken_off_then_refused(at: House) -> Client:
    at.set_state("r1", "starting")
    client = Client(at.url, HI)
    await until(lambda: at.gateway.stats().queued == 1)
    at.set_state("r1", "ready")
    await until(lambda: at.gateway.stats().replicas["r1"].errors == 1)
    at.set_state("r2", "ready")
    await client.ended.wait()
    await client.close()
    return client


@pytest.mark.parametrize(
    "payload",
    [
        b"[1]",
        b"5",
        b"null",
        b'"text"',
        b"{}}",
        b'{"choices": 5}',
        b'{"choices": [1]}',
        b'{"choices": {"a": 1}}',
        b'{"choices": [[]]}',
        b'{"choices": [{"text": 5}]}',
        b'{"choices": [{"text": ["a"]}]}',
        b'{"choices": [{"text": "a", "token_ids": 7}]}',
        b'{"choices": [{"text": "a", "token_ids": ["x"]}]}',
        b'{"choices": [{}, {}]}',
        b'{"choices": [], "usage": 5}',
        b'{"choices": [], "usage": [1]}',
        b'{"choices": [], "usage": {"completion_tokens": "many"}}',
        b'{"error": "no"}',
        b"\xff\xfe",
    ],
)
def test_a_continuation_that_makes_no_sense_is_never_seen(payload: bytes) -> None:
    async def test() -> None:
        body = {**HI, "stream_options": {"include_usage": True}}
        hostile = streaming(b"data: " + payload + b"\n\n", DONE)
        async with house(
            Recorded("reset-after-tokens=3"),
            hostile,
            settings=Settings(queue_timeout=0.05),
            traits=SIMULATOR,
            max_model_len=LENGTH,
        ) as at:
            client = await broken_off(at, body)

        *_, last = payloads(client.body)
        assert last["error"]["type"] == "upstream_error"

    run(test)


def test_a_stream_that_is_done_and_then_cut_is_whole() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, traits=SIMULATOR, max_model_len=LENGTH) as at:
            client = Client(at.url, HI)
            await engine.arrived.wait()
            engine.responses[0].start(200, EVENT_STREAM)
            engine.responses[0].write(event("a") + DONE)
            await client.got.wait()
            engine.responses[0].abort()
            await client.ended.wait()
            await client.close()

        assert (client.body, client.failed) == (event("a") + DONE, False)

    run(test)


@pytest.mark.parametrize("options", [5, "a", [{}], {"include_usage": [1]}])
def test_odd_stream_options_do_not_lose_a_broken_stream(options: Any) -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, answering("b"), traits=SIMULATOR, max_model_len=LENGTH) as at:
            at.set_state("r1", "starting")
            client = Client(at.url, {**HI, "stream_options": options})
            await engine.arrived.wait()
            engine.responses[0].start(200, EVENT_STREAM)
            engine.responses[0].write(event("a"))
            await client.got.wait()
            at.set_state("r1", "ready")
            engine.responses[0].abort()
            await client.ended.wait()
            await client.close()

        *_, last = payloads(client.body)
        assert last["error"]["type"] == "upstream_error"

    run(test)


def test_a_long_answer_to_a_streams_request_that_breaks_is_cut_too() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, answering("b"), traits=SIMULATOR) as at:
            at.set_state("r1", "starting")
            client = Client(at.url, HI)
            await engine.arrived.wait()
            engine.responses[0].start(200, [(b"content-length", b"2000000")])
            engine.responses[0].write(b"x" * 1_900_000)
            await client.got.wait()
            at.set_state("r1", "ready")
            engine.responses[0].abort()
            await client.ended.wait()
            await client.close()

        assert client.failed

    run(test)


def test_a_replica_that_refuses_connections_is_no_break_of_the_stream() -> None:
    async def test() -> None:
        async with house(Recorded(), traits=SIMULATOR, max_model_len=LENGTH) as at:
            whole = await stream(at, HI)
        engines: list[Handler] = [Recorded("reset-after-tokens=2") for _ in range(2)]
        async with house(
            *engines, crashing, crashing, Recorded(), traits=SIMULATOR, max_model_len=LENGTH
        ) as at:
            at.servers[2].close()
            at.servers[3].close()
            clients = [await stream(at, HI) for _ in range(5)]

        texts = {text_of(events_of(client.body)) for client in clients}
        assert texts == {text_of(events_of(whole.body))}

    run(test)


# what a client is told


def test_a_continued_stream_says_so_in_a_trailer() -> None:
    async def test() -> None:
        broken, healthy = Recorded("reset-after-tokens=3"), Recorded()
        async with house(broken, healthy, traits=SIMULATOR, max_model_len=LENGTH) as at:
            at.set_state("r1", "starting")
            body = json.dumps(HI).encode()
            host, port = at.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await until(lambda: at.gateway.stats().queued == 1)
            at.set_state("r1", "ready")
            received = await reader.readuntil(b"x-replicore-resumes: 1\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        assert received.endswith(DONE + b"\r\n0\r\nx-replicore-resumes: 1\r\n\r\n")

    run(test)
