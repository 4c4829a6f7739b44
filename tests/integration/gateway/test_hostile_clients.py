"""Clients that want more than their share, or that want the gateway to fail others."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from pathlib import Path

import pytest

from replicore.engines.engine import EngineTraits
from replicore.gateway.table import Settings
from replicore.http.fetch import fetch
from replicore.http.server import Handler, Request, Response
from tests.integration.gateway.house import (
    CHAT,
    EVENT_STREAM,
    TIMEOUT,
    Client,
    FakeEngine,
    House,
    answering,
    house,
    until,
)
from tests.integration.loops import run

KEY = b"rc-" + b"a" * 43
AUTHORIZED = [(b"authorization", b"Bearer " + KEY)]
USAGE = b'"usage":{"prompt_tokens":5,"completion_tokens":700}'


def settings_with_key(folder: Path, attributes: str = "", *, max_queue: int = 1024) -> Settings:
    path = folder / "keys.txt"
    path.write_text(f"alice sha256:{sha256(KEY).hexdigest()} {attributes}\n")
    return Settings(api_keys_file=str(path), max_queue=max_queue)


def saying(body: bytes) -> Handler:
    def answer(_request: Request, response: Response) -> None:
        response.send(200, body)

    return answer


def charged(at: House) -> float:
    """Return the tokens that alice has used."""
    gateway = at.gateway
    return sum(gateway._limiter._rows["alice"].usage(gateway.now()))


def test_who_has_no_key_is_answered_before_the_body_is_read(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(FakeEngine(), settings=settings_with_key(tmp_path)) as at:
            host, port = at.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: 9999\r\n" % CHAT.encode())
            writer.write(b"expect: 100-continue\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close\r\n" in answer
        assert b"www-authenticate: Bearer\r\n" in answer

    run(test)


def test_who_has_a_key_may_send_a_body_of_several_reads(tmp_path: Path) -> None:
    async def test() -> None:
        async with house(answering("a"), settings=settings_with_key(tmp_path)) as at:
            body = json.dumps({"prompt": "x" * 1_000_000}).encode()
            replies = [
                await fetch(at.url, "POST", CHAT, body=body, headers=headers, timeout=TIMEOUT)
                for headers in (AUTHORIZED, [])
            ]

        assert [reply.status for reply in replies] == [200, 401]

    run(test)


def test_a_client_that_does_not_read_makes_no_replica_look_hung() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            client = Client(at.url, {"stream": True})
            await engine.arrived.wait()
            (upstream,) = at.gateway.dispatcher.upstreams.values()
            engine.responses[0].start(200, EVENT_STREAM)
            client.exchange.pause()
            (request,) = upstream.serving
            while not request.paused:
                engine.responses[0].write(b"data: {}\n\n" * 10_000)
                await asyncio.sleep(0.001)
            hour = at.gateway.now() + 3600
            stalled = upstream.watch(hour, 1.0), upstream.watch(hour + 3600, 1.0)
            client.exchange.cancel()
            await client.close()
            await engine.someone_left.wait()

        assert stalled == (False, False)
        assert upstream.stalled_s == 0.0

    run(test)


def test_a_stream_that_is_changed_has_no_length_of_the_engines() -> None:
    async def test() -> None:
        events = b'data: {"choices":[{"text":"a","token_ids":[1,2]}]}\n\ndata: [DONE]\n\n'

        def engine(_request: Request, response: Response) -> None:
            length = (b"content-length", b"%d" % len(events))
            response.start(200, [*EVENT_STREAM, length])
            response.write(events)
            response.end()

        async with house(engine, traits=EngineTraits(token_ids=True)) as at:
            reply = await at.post({"stream": True, "prompt": "x"}, "/v1/completions")

        assert b"content-length" not in reply.headers
        assert reply.body == events.replace(b',"token_ids":[1,2]', b"")

    run(test)


@pytest.mark.parametrize(
    "answer",
    [
        b"{%b}" % USAGE,
        b'{%b,"prompt_token_ids":[%b1]}' % (USAGE, b"1," * 10_000),
        b'{"choices":"%b",%b}' % (b"x" * 2_000_000, USAGE),
    ],
    ids=["short", "followed-by-ids", "long"],
)
def test_output_is_charged_wherever_an_answer_tells_of_it(tmp_path: Path, answer: bytes) -> None:
    async def test() -> None:
        settings = settings_with_key(tmp_path, "tokens_per_minute=10000")
        async with house(saying(answer), settings=settings) as at:
            await fetch(at.url, "POST", CHAT, body=b"{}", headers=AUTHORIZED, timeout=TIMEOUT)
            used = charged(at)

        assert used == 705.0

    run(test)


def test_a_body_is_read_whatever_type_it_claims() -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            claim = [(b"content-type", b"multipart/mixed")]
            reply = await fetch(
                at.url, "POST", CHAT, body=b'{"model": "other"}', headers=claim, timeout=TIMEOUT
            )

        assert (reply.status, engine.requests) == (404, [])

    run(test)


def test_a_request_that_no_replica_had_is_not_charged(tmp_path: Path) -> None:
    async def test() -> None:
        engine = FakeEngine()
        settings = settings_with_key(tmp_path, "tokens_per_minute=10000", max_queue=0)
        async with house(engine, slots=1, settings=settings) as at:
            body = json.dumps({"prompt": "x" * 4000}).encode()

            async def ask() -> int:
                reply = await fetch(
                    at.url, "POST", CHAT, body=body, headers=AUTHORIZED, timeout=TIMEOUT
                )
                return reply.status

            first = asyncio.create_task(ask())
            await engine.arrived.wait()
            second = await ask()
            used = charged(at)
            engine.responses[0].send(200, b"{}")
            await first

        assert second == 429
        assert used == 1000.0

    run(test)


@pytest.mark.parametrize(
    "path", ["/v1/../slots", "/v1/%2e%2E/slots", "/v1/a/./b", "/v1/..%5Cslots"]
)
def test_a_path_that_may_lead_out_of_the_api_is_not_passed_on(path: str) -> None:
    async def test() -> None:
        engine = FakeEngine()
        async with house(engine) as at:
            reply = await at.post({}, path)

        assert (reply.status, engine.requests) == (404, [])

    run(test)


def test_an_id_that_is_used_again_and_again_is_explained_by_its_latest_choices() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            same = [(b"x-request-id", b"same")]
            for _ in range(20):
                await fetch(at.url, "POST", CHAT, body=b"{}", headers=same, timeout=TIMEOUT)
            await until(lambda: at.gateway.stats().outstanding == 0)
            explanation = at.gateway.explain("same")

        assert explanation is not None
        assert len(explanation.choices) == 16

    run(test)


def test_a_long_name_of_a_wrong_model_is_not_repeated() -> None:
    async def test() -> None:
        async with house(answering("a")) as at:
            reply = await at.post({"model": "m" * 100_000})

        assert reply.status == 404
        assert len(reply.body) < 1000

    run(test)


@pytest.mark.parametrize("origin", [None, b"https://b.example", b"null"])
def test_an_answer_for_no_page_is_kept_apart_from_those_for_pages(origin: bytes | None) -> None:
    async def test() -> None:
        settings = Settings(cors_origins=("https://a.example",))
        async with house(answering("a"), settings=settings) as at:
            headers = [] if origin is None else [(b"origin", origin)]
            reply = await fetch(at.url, "GET", "/v1/models", headers=headers, timeout=TIMEOUT)

        assert reply.headers[b"vary"] == b"origin"
        assert b"access-control-allow-origin" not in reply.headers

    run(test)
