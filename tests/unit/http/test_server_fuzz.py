"""Anything may be sent to the server: what it serves depends on the bytes alone."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replicore.http.server import Limits, Request, Response
from tests.unit.http.fakes import Client
from tests.unit.http.mutation import cut, mutated

LIMITS = Limits(header_bytes=1024, body_bytes=2048)
READ_BYTES = 65_536

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /a?b=c HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\naccept: x\r\n\r\n",
    b"POST /v1 HTTP/1.1\r\nHost: [::1]:1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /v1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: u\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"\r\n",
]

Seen = tuple[str, str, str, dict[bytes, bytes], bytes]


@dataclass
class Outcome:
    served: list[Seen] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    closed: bool = False
    most_held: int = 0


def send(*pieces: bytes) -> Outcome:
    outcome = Outcome()

    def serve(request: Request, response: Response) -> None:
        target = (request.method, request.path, request.query)
        outcome.served.append((*target, request.headers, request.body))
        response.send(200)

    async def talk() -> None:
        client = Client(serve, LIMITS)
        for piece in pieces:
            client.send(piece)
            outcome.most_held = max(outcome.most_held, client.held_bytes)
        outcome.statuses = client.statuses
        outcome.closed = client.transport.ended

    asyncio.run(talk())
    return outcome


class Llhttp:
    """The same bytes as another parser reads them."""

    def __init__(self, data: bytes) -> None:
        self.read: list[Seen] = []
        self._in_head = False
        self._parser = httptools.HttpRequestParser(self)
        with contextlib.suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._target = self._body = b""
        self._headers: dict[bytes, bytes] = {}
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            earlier = self._headers.get(name.lower())
            value = value.strip()
            self._headers[name.lower()] = value if earlier is None else earlier + b", " + value

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        path, _, query = self._target.decode().removeprefix("http://a").partition("?")
        self.read.append((method, path or "/", query, self._headers, self._body))


anything = st.one_of(mutated(REQUESTS), st.binary(max_size=200))
places = st.lists(st.integers(0, 10_000), max_size=8)


@given(anything, places)
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r", [])
@settings(max_examples=400)
def test_what_is_served_does_not_depend_on_how_the_bytes_arrive(
    data: bytes, places: list[int]
) -> None:
    whole, parts = send(data), send(*cut(data, places))

    assert (parts.served, parts.closed) == (whole.served, whole.closed)


@given(anything)
@settings(max_examples=400)
def test_every_request_is_served_or_refused_once(data: bytes) -> None:
    outcome = send(data)

    final = [status for status in outcome.statuses if status != 100]
    assert final[: len(outcome.served)] == [200] * len(outcome.served)
    refusals = final[len(outcome.served) :]
    assert len(refusals) <= 1
    assert all(400 <= status < 500 and outcome.closed for status in refusals)


@given(anything)
@settings(max_examples=400)
def test_another_parser_reads_every_request_that_is_served_the_same(data: bytes) -> None:
    ours = send(data).served

    assert Llhttp(data).read[: len(ours)] == ours


@given(st.lists(st.one_of(anything, st.binary(max_size=4000)), max_size=20))
def test_what_a_connection_holds_is_bounded(pieces: list[bytes]) -> None:
    assert send(*pieces).most_held <= LIMITS.header_bytes + LIMITS.body_bytes
