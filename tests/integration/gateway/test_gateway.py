"""The gateway over engines that are scripted handlers."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence

import pytest

from replicore.engines.engine import EngineTraits
from replicore.gateway.proxy import ProxiedRequest
from replicore.gateway.table import ReplicaTable, Settings
from replicore.http.fetch import Reply, fetch
from replicore.http.server import Handler, Request, Response
from tests.integration.gateway.house import (
    CHAT,
    EVENT_STREAM,
    TIMEOUT,
    Client,
    FakeEngine,
    House,
    answering,
    crashing,
    event,
    house,
    until,
)
from tests.integration.loops import run


def test_a_request_goes_through_unchanged() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            body = b'{ "model":"m",\n "messages": [], "odd": 1e3 }'
            headers = [(b"x-request-id", b"abc"), (b"x-custom", b"1"), (b"te", b"trailers")]
            reply = asyncio.create_task(
                fetch(at.url, "POST", CHAT + "?a=b", body=body, headers=headers, timeout=TIMEOUT)
            )
            await engine.arrived.wait()
            seen = engine.requests[0]
            engine.responses[0].send(201, b"{}", headers=[(b"x-engine", b"y")])
            got = await reply

        assert (seen.path, seen.query, seen.body) == (CHAT, "a=b", body)
        assert seen.headers[b"x-custom"] == b"1"
        assert b"te" not in seen.headers
        assert (got.status, got.body) == (201, b"{}")
        assert got.headers[b"x-engine"] == b"y"
        assert got.headers[b"x-request-id"] == seen.headers[b"x-request-id"] == b"abc"
        assert got.headers[b"x-replicore-replica"] == b"r0"

    run(test)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", CHAT, b'{"model": "other"}', 404, "model_not_found"),
        ("GET", "/v1/models/other", None, 404, "model_not_found"),
        ("POST", CHAT, b"{nonsense", 400, None),
        ("POST", CHAT, b"", 400, None),
        ("GET", "/nowhere", None, 404, "not_found"),
        ("POST", "/nowhere", b"{}", 404, "not_found"),
        ("GET", CHAT, None, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", None, 405, "method_not_allowed"),
    ],
)
def test_a_bad_request_gets_openais_error_shape(
    method: str, path: str, body: bytes | None, status: int, code: str | None
) -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            reply = await fetch(at.url, method, path, body=body, timeout=TIMEOUT)

        error = json.loads(reply.body)["error"]
        assert (reply.status, error["code"]) == (status, code)
        assert set(error) == {"message", "type", "param", "code"}
        assert reply.headers[b"x-request-id"]

    run(test)


def test_models_and_health_are_answered_by_the_gateway() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            models = await fetch(at.url, "GET", "/v1/models", timeout=TIMEOUT)
            model = await fetch(at.url, "GET", "/v1/models/m", timeout=TIMEOUT)
            health = await fetch(at.url, "GET", "/health", timeout=TIMEOUT)
            at.set_state("r0", "failed")
            sick = await fetch(at.url, "GET", "/health", timeout=TIMEOUT)

        assert json.loads(models.body)["data"][0]["id"] == "m"
        assert json.loads(model.body)["object"] == "model"
        assert (health.status, sick.status) == (200, 503)

    run(test)


def test_requests_spread_over_replicas() -> None:
    async def test() -> None:
        async with house(answering("a"), answering("b")) as at:
            replies = [await at.post({}) for _ in range(10)]

        names = [json.loads(reply.body)["engine"] for reply in replies]
        assert sorted(names) == ["a"] * 5 + ["b"] * 5

    run(test)


def test_a_stream_passes_as_it_comes() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            client = Client(at.url, {"stream": True})
            await engine.arrived.wait()
            engine.responses[0].start(200, EVENT_STREAM)
            engine.responses[0].write(event("a"))
            await client.got.wait()
            first = client.body
            engine.responses[0].write(event("b") + b"data: [DONE]\n\n")
            engine.responses[0].end()
            await client.ended.wait()
            await client.close()

        assert first == event("a")
        assert client.body == event("a") + event("b") + b"data: [DONE]\n\n"
        assert client.headers[b"content-type"] == b"text/event-stream"

    run(test)


def test_prefill_progress_is_asked_for_and_kept_from_the_client() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, traits=EngineTraits(prompt_progress=True)) as at:
            client = Client(at.url, {"stream": True})
            await engine.arrived.wait()
            engine.responses[0].start(200, EVENT_STREAM)
            engine.responses[0].write(b'data: {"prompt_progress":{}}\n\n' + event("a"))
            engine.responses[0].end()
            await client.ended.wait()
            await client.close()

        assert json.loads(engine.requests[0].body) == {"stream": True, "return_progress": True}
        assert client.body == event("a")

    run(test)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_the_engine(stream: bool) -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            client = Client(at.url, {"stream": stream})
            await engine.arrived.wait()
            await client.close()
            await engine.someone_left.wait()
            await until(lambda: at.gateway.stats().outstanding == 0)

        assert engine.left == 1

    run(test)


def test_a_replica_that_fails_before_the_first_byte_is_replaced() -> None:
    async def test() -> None:
        async with house(crashing, answering("b")) as at:
            replies = [await at.post({"stream": True}) for _ in range(4)]

        assert [reply.headers[b"x-replicore-replica"] for reply in replies] == [b"r1"] * 4

    run(test)


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_request_that_its_replicas_fail_ends_with_502_and_the_reason(replicas: int) -> None:
    async def test() -> None:
        settings = Settings(queue_timeout=0.05)
        async with house(*[crashing] * replicas, settings=settings) as at:
            reply = await at.post({})
            requests = sum(one.requests for one in at.gateway.stats().replicas.values())

        assert (reply.status, requests) == (502, min(2, replicas))
        error = json.loads(reply.body)["error"]
        assert error["type"] == "upstream_error"
        assert "closed the connection" in error["message"]

    run(test)


def test_a_request_that_kills_engines_kills_two_at_most() -> None:
    async def test() -> None:
        houses: list[House] = []
        killed = 0

        def mortal(index: int) -> Handler:
            def answer(request: Request, response: Response) -> None:
                nonlocal killed
                if b"poison" in request.body:
                    killed += 1
                    houses[0].servers[index].close()
                    response.abort()
                else:
                    response.send(200, b"{}")

            return answer

        settings = Settings(policy="round_robin", queue_timeout=0.05)
        async with house(*(mortal(index) for index in range(5)), settings=settings) as at:
            houses.append(at)
            for _ in range(5):  # so that there are kept connections to all
                await at.post({})
            reply = await at.post({"prompt": "poison"})

        assert (reply.status, killed) == (502, 2)

    run(test)


def test_a_finished_request_holds_no_memory_until_a_collection() -> None:
    async def test() -> None:
        gc.collect()
        gc.disable()
        try:
            settings = Settings(policy="round_robin")
            async with house(answering("a"), crashing, settings=settings) as at:
                for stream in (True, False, True):
                    await at.post({"stream": stream})
                left = [o for o in gc.get_objects() if isinstance(o, ProxiedRequest | Request)]
        finally:
            gc.enable()

        assert left == []

    run(test)


def test_waiting_requests_are_refused_once_no_replica_can_come_back() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            at.set_state("r0", "starting", incarnation=2)
            post = asyncio.create_task(at.post({}))
            await until(lambda: at.gateway.stats().queued == 1)
            at.set_state("r0", "crash_loop", incarnation=2)
            reply = await post

        assert json.loads(reply.body)["error"]["code"] == "no_ready_replica"

    run(test)


def test_a_model_name_may_have_a_slash() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            at.gateway.apply(ReplicaTable(model="org/name"))
            reply = await fetch(at.url, "GET", "/v1/models/org%2Fname", timeout=TIMEOUT)

        assert json.loads(reply.body)["id"] == "org/name"

    run(test)


def test_a_wrong_method_is_told_the_right_one() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            chat = await fetch(at.url, "GET", CHAT, timeout=TIMEOUT)
            models = await fetch(at.url, "DELETE", "/v1/models", timeout=TIMEOUT)

        assert (chat.headers[b"allow"], models.headers[b"allow"]) == (b"POST", b"GET, HEAD")

    run(test)


def test_a_stream_that_breaks_ends_with_an_error_event() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            client = Client(at.url, {"stream": True})
            await engine.arrived.wait()
            engine.responses[0].start(200, EVENT_STREAM)
            engine.responses[0].write(event("a") + b'data: {"choi')
            await client.got.wait()
            engine.responses[0].abort()
            await client.ended.wait()
            await client.close()

        events = client.body.split(b"\n\n")
        assert events[0] + b"\n\n" == event("a")
        assert json.loads(events[1].removeprefix(b"data: "))["error"]["type"] == "upstream_error"
        assert (events[2:], client.failed) == ([b""], False)

    run(test)


def test_a_long_body_that_breaks_cuts_the_connection() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            client = Client(at.url, {})
            await engine.arrived.wait()
            engine.responses[0].start(200, [(b"content-length", b"2000000")])
            engine.responses[0].write(b"x" * 1_900_000)
            await client.got.wait()
            engine.responses[0].abort()
            await client.ended.wait()
            await client.close()

        assert client.failed

    run(test)


def test_a_replica_gets_no_more_requests_than_it_has_slots() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, slots=2) as at:
            posts = [asyncio.create_task(at.post({"n": i})) for i in range(5)]
            await until(lambda: at.gateway.stats().queued == 3 and len(engine.responses) == 2)
            for index in range(5):
                await until(lambda index=index: len(engine.responses) > index)  # type: ignore[misc]
                engine.responses[index].send(200, b"{}")
            replies = await asyncio.gather(*posts)

        assert [reply.status for reply in replies] == [200] * 5

    run(test)


def test_a_full_queue_answers_429_with_retry_after() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, slots=1, settings=Settings(max_queue=1)) as at:
            held = [Client(at.url, {}) for _ in range(2)]
            await until(lambda: at.gateway.stats().queued == 1)
            reply = await at.post({})
            for client in held:
                await client.close()
            await until(lambda: at.gateway.stats().outstanding == 0)

        assert (reply.status, reply.headers[b"retry-after"]) == (429, b"1")
        assert json.loads(reply.body)["error"]["code"] == "queue_full"

    run(test)


def test_a_request_that_waited_too_long_gets_503_with_retry_after() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, slots=1, settings=Settings(queue_timeout=0.05)) as at:
            held = Client(at.url, {})
            await engine.arrived.wait()
            reply = await at.post({})
            await held.close()
            await until(lambda: at.gateway.stats().outstanding == 0)

        assert (reply.status, reply.headers[b"retry-after"]) == (503, b"1")
        assert json.loads(reply.body)["error"]["code"] == "queue_timeout"

    run(test)


def test_a_client_that_leaves_the_queue_is_never_sent() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, slots=1) as at:
            first, second = Client(at.url, {}), Client(at.url, {})
            await until(lambda: at.gateway.stats().queued == 1)
            await second.close()
            await until(lambda: at.gateway.stats().queued == 0)
            await first.close()
            await until(lambda: at.gateway.stats().outstanding == 0)

        assert len(engine.requests) == 1

    run(test)


def test_no_replica_that_could_serve_gives_503_at_once() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            at.set_state("r0", "failed")
            reply = await at.post({})

        assert (reply.status, reply.headers[b"retry-after"]) == (503, b"1")
        assert json.loads(reply.body)["error"]["code"] == "no_ready_replica"

    run(test)


def test_a_request_is_held_while_its_only_replica_restarts() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            at.set_state("r0", "starting", incarnation=2)
            post = asyncio.create_task(at.post({}))
            await until(lambda: at.gateway.stats().queued == 1)
            at.set_state("r0", "ready", incarnation=2)
            reply = await post

        assert reply.status == 200

    run(test)


def test_a_draining_replica_finishes_what_it_has_and_gets_no_more() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine, answering("b")) as at:
            at.set_state("r1", "starting")
            post = asyncio.create_task(at.post({}))
            await engine.arrived.wait()
            at.set_state("r1", "ready")
            at.set_state("r0", "draining")
            later = [await at.post({}) for _ in range(3)]
            engine.responses[0].send(200, b"{}")
            first = await post

        assert first.headers[b"x-replicore-replica"] == b"r0"
        assert {reply.headers[b"x-replicore-replica"] for reply in later} == {b"r1"}

    run(test)


def test_a_slow_client_stops_the_engine() -> None:
    async def test() -> None:
        part = b"x" * 2**16
        parts = 1024
        flow = asyncio.Event()
        flow.set()
        stopped = asyncio.Event()
        written = 0

        def stop() -> None:
            flow.clear()
            stopped.set()

        async def write(response: Response) -> None:
            nonlocal written
            response.start(200, [(b"content-length", b"%d" % (parts * len(part)))])
            for _ in range(parts):
                await flow.wait()
                response.write(part)
                written += 1
            response.end()

        tasks: list[asyncio.Task[None]] = []

        def flood(_request: Request, response: Response) -> None:
            response.on_pause, response.on_resume = stop, flow.set
            tasks.append(asyncio.create_task(write(response)))

        async with house(flood) as at:
            client = Client(at.url, {})
            client.exchange.pause()
            await stopped.wait()
            written_unread = written
            client.exchange.resume()
            await client.ended.wait()
            await client.close()

        # The kernel's buffers of two connections, and what the gateway holds.
        assert written_unread * len(part) < 32 * 2**20
        assert len(client.body) == parts * len(part)

    run(test)


def _names(replies: Sequence[Reply]) -> list[bytes]:
    return [reply.headers[b"x-replicore-replica"] for reply in replies]


def test_round_robin_is_exact() -> None:
    async def test() -> None:
        settings = Settings(policy="round_robin")
        async with house(answering("a"), answering("b"), settings=settings) as at:
            replies = [await at.post({}) for _ in range(4)]

        assert len(set(_names(replies[:2]))) == len(set(_names(replies[2:]))) == 2

    run(test)
