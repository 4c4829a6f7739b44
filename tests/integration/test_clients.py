"""The clients that people have, unmodified, through ``replicore gateway`` over two simulators.

The ``openai`` client over real engines is in ``test_openai_client.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import openai
import pytest

from tests.integration.simulator import eventually, read_all
from tests.integration.test_gateway_command import ready_engines, two_engines

pytestmark = pytest.mark.slow

TIMEOUT_S = 20.0
HELLO: list[Any] = [{"role": "user", "content": "hello"}]
BODY = {"model": "m", "prompt": "hello", "max_tokens": 5}
LARGE = {**BODY, "user": "x" * 2_000_000}  # larger than any buffer on its way


@pytest.fixture(name="url", scope="module")
def _url() -> Iterator[str]:
    """Address of the gateway, without ``/v1``."""
    with two_engines() as (url, _):
        eventually(lambda: ready_engines(url) == 2)
        yield url


def events(stream: bytes) -> list[bytes]:
    """Return the payloads of a whole event stream."""
    parts = stream.split(b"\n\n")
    assert parts.pop() == b""
    assert all(part.startswith(b"data: ") for part in parts)
    return [part.removeprefix(b"data: ") for part in parts]


def is_whole_stream(stream: bytes) -> bool:
    *chunks, last = events(stream)
    reasons = [json.loads(chunk)["choices"][0]["finish_reason"] for chunk in chunks]
    return last == b"[DONE]" and reasons[-1] == "length" and not any(reasons[:-1])


def completion_tokens(body: bytes) -> int:
    return int(json.loads(body)["usage"]["completion_tokens"])


def curl(*arguments: str, body: dict[str, Any] | None = None) -> bytes:
    """Return what curl printed."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", *arguments]
    data = None
    if body is not None:
        command += ["--header", "content-type: application/json", "--data-binary", "@-"]
        data = json.dumps(body).encode()
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def raw(url: str, request: bytes) -> bytes:
    """Send bytes, and return everything up to the end of the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_S) as sock:
        sock.sendall(request)
        return read_all(sock)


@pytest.fixture(name="client")
def _client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=TIMEOUT_S
    ) as client:
        yield client


def test_openai_completes_a_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="m", messages=HELLO, max_tokens=5)

    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


def test_openai_streams_a_chat(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model="m", messages=HELLO, max_tokens=5, stream=True, stream_options=options
        )
    )

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


def test_openai_lists_the_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["m"]


def test_openai_understands_a_refusal(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.completions.create(model="other", prompt="hello")


def test_openai_runs_many_calls_at_once(url: str) -> None:
    async def stream(client: openai.AsyncOpenAI) -> str:
        chunks = await client.completions.create(
            model="m", prompt="hello", max_tokens=5, stream=True
        )
        return [chunk.choices[0].finish_reason async for chunk in chunks][-1]

    async def complete(client: openai.AsyncOpenAI) -> str:
        answer = await client.completions.create(model="m", prompt="hello", max_tokens=5)
        return answer.choices[0].finish_reason

    async def test() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=TIMEOUT_S
        ) as client:
            calls = [call(client) for call in (stream, complete) for _ in range(20)]
            return await asyncio.gather(*calls)

    assert asyncio.run(test()) == ["length"] * 40


def test_curl_completes(url: str) -> None:
    assert completion_tokens(curl(f"{url}/v1/completions", body=BODY)) == 5


def test_curl_streams(url: str) -> None:
    body = {**BODY, "stream": True}

    assert is_whole_stream(curl("--no-buffer", f"{url}/v1/completions", body=body))


def test_curl_asks_first_whether_a_large_body_is_welcome(url: str) -> None:
    answer = curl("--include", f"{url}/v1/completions", body=LARGE)

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_curl_sends_a_body_in_chunks(url: str) -> None:
    header = ("--header", "transfer-encoding: chunked")

    assert completion_tokens(curl(*header, f"{url}/v1/completions", body=BODY)) == 5


def test_curl_uses_a_connection_again(url: str) -> None:
    count = ("--write-out", "%{num_connects}")

    assert curl(*count, f"{url}/health", f"{url}/health").endswith(b"0")


def test_curl_asks_for_the_head_alone(url: str) -> None:
    head = curl("--head", f"{url}/health")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("stream", [False, True])
def test_curl_speaks_http_1_0(url: str, stream: bool) -> None:
    answer = curl("--http1.0", f"{url}/v1/completions", body={**BODY, "stream": stream})

    assert is_whole_stream(answer) if stream else completion_tokens(answer) == 5


def test_aiohttp_streams_as_benchmarks_do(url: str) -> None:
    """One session, a bounded number of connections, chunks read as they come: as vLLM's does."""

    async def stream(session: aiohttp.ClientSession) -> bytes:
        async with session.post(f"{url}/v1/completions", json={**BODY, "stream": True}) as answer:
            return b"".join([chunk async for chunk in answer.content.iter_any()])

    async def test() -> list[bytes]:
        connector = aiohttp.TCPConnector(limit=8, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            return await asyncio.gather(*(stream(session) for _ in range(40)))

    assert all(map(is_whole_stream, asyncio.run(test())))


def test_aiohttp_sends_a_body_of_unknown_length(url: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for byte in json.dumps(BODY).encode():
            yield bytes([byte])

    async def test() -> bytes:
        headers = {"content-type": "application/json"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{url}/v1/completions", data=parts()) as answer,
        ):
            return await answer.read()

    assert completion_tokens(asyncio.run(test())) == 5


def test_aiohttp_that_leaves_a_stream_can_go_on(url: str) -> None:
    async def test() -> bytes:
        async with aiohttp.ClientSession() as session:
            endless = {**BODY, "stream": True, "max_tokens": 2000}
            async with session.post(f"{url}/v1/completions", json=endless) as answer:
                await answer.content.readany()
            async with session.post(f"{url}/v1/completions", json=BODY) as answer:
                return await answer.read()

    assert completion_tokens(asyncio.run(test())) == 5


def test_httpx_completes_with_a_large_body(url: str) -> None:
    answer = httpx.post(f"{url}/v1/completions", json=LARGE, timeout=TIMEOUT_S)

    assert completion_tokens(answer.content) == 5


def test_httpx_streams(url: str) -> None:
    body = {**BODY, "stream": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=TIMEOUT_S) as answer:
        stream = b"".join(answer.iter_bytes())

    assert is_whole_stream(stream)


def test_the_standard_library_keeps_its_connection(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        for _ in range(3):
            connection.request("POST", "/v1/completions", json.dumps(BODY))
            assert completion_tokens(connection.getresponse().read()) == 5


@pytest.mark.parametrize("stream", [False, True])
def test_a_raw_http_1_0_client_gets_plain_bytes_until_the_end(url: str, stream: bool) -> None:
    body = json.dumps({**BODY, "stream": stream}).encode()
    request = b"POST /v1/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    head, _, answer = raw(url, request).partition(b"\r\n\r\n")

    assert b"chunked" not in head
    assert is_whole_stream(answer) if stream else completion_tokens(answer) == 5


def test_a_raw_http_1_0_client_may_keep_its_connection(url: str) -> None:
    kept = b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

    answer = raw(url, kept + b"GET /health HTTP/1.0\r\n\r\n")

    assert answer.count(b" 200 OK\r\n") == 2
    assert answer.count(b"connection: keep-alive\r\n") == 1
