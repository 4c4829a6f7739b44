"""Requests that two servers could read differently: refused, and nothing after them is read."""

from __future__ import annotations

import asyncio

import pytest

from replicore.http.server import Limits, Request, Response
from tests.unit.http.fakes import Client

HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


def line(request_line: bytes) -> bytes:
    return request_line + b"\r\n" + HOST + b"\r\n"


def field(header: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\n" + HOST + header + b"\r\n\r\n"


def host(value: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n"


def length(value: bytes, body: bytes = b"x") -> bytes:
    return POST + b"Content-Length: " + value + b"\r\n\r\n" + body


def coding(value: bytes) -> bytes:
    return POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n"


def chunk(head: bytes, rest: bytes = b"\r\nx\r\n0\r\n\r\n") -> bytes:
    return CHUNKED + head + rest


REQUEST_LINES = {
    "no request line": b"GARBAGE\r\n\r\n",
    "method alone": b"GET\r\n\r\n",
    "HTTP/0.9 without a version": b"GET /\r\n\r\n",
    "HTTP/0.9": line(b"GET / HTTP/0.9"),
    "HTTP/1.2": line(b"GET / HTTP/1.2"),
    "HTTP/1.10": line(b"GET / HTTP/1.10"),
    "HTTP/01.1": line(b"GET / HTTP/01.1"),
    "HTTP/2.0": line(b"GET / HTTP/2.0"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version in lower case": line(b"GET / http/1.1"),
    "version without a dot": line(b"GET / HTTP/11"),
    "version with a tail": line(b"GET / HTTP/1.1x"),
    "space after the version": line(b"GET / HTTP/1.1 "),
    "another protocol": line(b"GET / RTSP/1.0"),
    "method in lower case": line(b"get / HTTP/1.1"),
    "method with a parenthesis": line(b"G(T / HTTP/1.1"),
    "method with a NUL": line(b"G\0ET / HTTP/1.1"),
    "method nobody knows": line(b"FROB / HTTP/1.1"),
    "a tunnel": line(b"CONNECT a:80 HTTP/1.1"),
    "space before the method": line(b" GET / HTTP/1.1"),
    "two spaces before the target": line(b"GET  / HTTP/1.1"),
    "two spaces after the target": line(b"GET /  HTTP/1.1"),
    "tabs between the parts": line(b"GET\t/\tHTTP/1.1"),
    "target with a tab": line(b"GET /a\tb HTTP/1.1"),
    "target with a space": line(b"GET /a b HTTP/1.1"),
    "target with a NUL": line(b"GET /a\0b HTTP/1.1"),
    "target with a control character": line(b"GET /a\x01b HTTP/1.1"),
    "target with DEL": line(b"GET /a\x7fb HTTP/1.1"),
    "target beyond ASCII": line(b"GET /a\xffb HTTP/1.1"),
    "target with a bare CR": line(b"GET /a\rb HTTP/1.1"),
    "target with a fragment": line(b"GET /a#b HTTP/1.1"),
    "target without a slash": line(b"GET a HTTP/1.1"),
    "target that is a query": line(b"GET ?a HTTP/1.1"),
    "target * of another method": line(b"GET * HTTP/1.1"),
    "target with another scheme": line(b"GET ftp://a/ HTTP/1.1"),
    "target that is an authority": line(b"GET a:80 HTTP/1.1"),
    "absolute target without a host": line(b"GET http:///b HTTP/1.1"),
    "absolute target of another host": line(b"GET http://b/ HTTP/1.1"),
    "absolute target of another port": line(b"GET http://a:81/ HTTP/1.1"),
    "absolute target with a user": line(b"GET http://u@a/ HTTP/1.1"),
    "empty lines of LF": b"\n" + NEXT,
    "empty lines of CR": b"\r" + NEXT,
    "a NUL before the request": b"\0\r\n" + NEXT,
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 50,
}

HEADERS = {
    "LF alone": b"GET / HTTP/1.1\nHost: a\n\n",
    "LF after the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "LF after a header": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "LF as the empty line": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "CR alone": b"GET / HTTP/1.1\rHost: a\r\r",
    "CR CR LF after the request line": b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
    "CR CR LF after a header": b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "CR and a byte as the empty line": b"GET / HTTP/1.1\r\nHost: a\r\n\rX",
    "space before the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "space before the colon": field(b"X : y"),
    "tab before the colon": field(b"X\t: y"),
    "space before the colon of a length": POST + b"Content-Length : 1\r\n\r\nx",
    "space before the colon of a coding": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "no colon": field(b"X"),
    "no colon, and a name that is known": field(b"Accept"),
    "no name": field(b": y"),
    "name with a NUL": field(b"X\0: y"),
    "name beyond ASCII": field(b"X\xff: y"),
    "name with a parenthesis": field(b"X(: y"),
    "name with CR": field(b"X\r: y"),
    "name with LF": field(b"X\n: y"),
    "value with a NUL": field(b"X: a\0b"),
    "value with a control character": field(b"X: a\x01b"),
    "value with a vertical tab": field(b"X: a\x0bb"),
    "value with DEL": field(b"X: a\x7fb"),
    "value with a bare CR": field(b"X: a\rb"),
    "value with a bare LF": field(b"X: a\nb"),
    "header after a bare CR": field(b"X: a\rTransfer-Encoding: chunked"),
    "header after a bare LF": field(b"X: a\nTransfer-Encoding: chunked"),
    "folded by a space": field(b"X: a\r\n b"),
    "folded by a tab": field(b"X: a\r\n\tb"),
    "folded into nothing": field(b"X: a\r\n "),
    "folded length": POST + b"Content-Length:\r\n 1\r\n\r\nx",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "one host twice": b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "host that is empty": host(b""),
    "host with a space": host(b"a b"),
    "host with a list": host(b"a, b"),
    "host with a path": host(b"a/b"),
    "host with a user": host(b"u@a"),
    "host beyond ASCII": host(b"\xe4"),
    "host with a port that is no number": host(b"a:b"),
}

LENGTHS = {
    "length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "two lengths of a GET": field(b"Content-Length: 0\r\nContent-Length: 37") + NEXT,
    "length in a list": length(b"1, 1"),
    "lengths in a list": length(b"1,2"),
    "length with a plus": length(b"+1"),
    "length with a minus": length(b"-1"),
    "length of minus zero": length(b"-0"),
    "length in hexadecimal": length(b"0x1"),
    "length with an exponent": length(b"1e0"),
    "length with a point": length(b"1.0"),
    "length with a space": length(b"1 0", b"0123456789"),
    "length with a tab": length(b"1\t1", b"0123456789a"),
    "length with an underscore": length(b"1_0", b"0123456789"),
    "length with a semicolon": length(b"1;"),
    "length with a NUL": length(b"1\0"),
    "length after a vertical tab": length(b"\x0b1"),
    "length in quotes": length(b'"1"'),
    "length in a word": length(b"one"),
    "length of a superscript digit": length(b"\xb2"),
    "length of an Arabic digit": length("\u0661".encode()),
    "length that is empty": length(b"", b""),
    "length that is white space": length(b" \t", b""),
    "length of 2**64": length(b"18446744073709551616"),
    "length of 2**64 + 1": length(b"18446744073709551617"),
    "length of 400 digits": length(b"9" * 400),
    "length after 400 zeros": length(b"0" * 400 + b"1"),
}

CODINGS = {
    "CL.TE": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n",
    "TE.TE": POST + b"Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n0\r\n\r\n",
    "coding twice": POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "coding identity": coding(b"identity"),
    "coding gzip, chunked": coding(b"gzip, chunked"),
    "coding chunked, gzip": coding(b"chunked, gzip"),
    "coding chunked, chunked": coding(b"chunked, chunked"),
    "coding with a comma after it": coding(b"chunked,"),
    "coding with a comma before it": coding(b", chunked"),
    "coding with a letter before it": coding(b"xchunked"),
    "coding with a letter after it": coding(b"chunkedx"),
    "coding in quotes": coding(b'"chunked"'),
    "coding in single quotes": coding(b"'chunked'"),
    "coding with a parameter": coding(b"chunked;q=1"),
    "coding with a space": coding(b"chun ked"),
    "coding with a NUL": coding(b"chunked\0"),
    "coding after a vertical tab": coding(b"\x0bchunked"),
    "coding that is empty": coding(b""),
    "coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}

CHUNKS = {
    "size that is no number": chunk(b"z"),
    "size that is empty": chunk(b""),
    "size with a minus": chunk(b"-1"),
    "size with a plus": chunk(b"+1"),
    "size with 0x": chunk(b"0x1"),
    "size with an underscore": chunk(b"1_0"),
    "size with a NUL": chunk(b"1\0"),
    "size after a space": chunk(b" 1"),
    "size before a space": chunk(b"1 "),
    "size before a tab": chunk(b"1\t"),
    "size of 2**64": chunk(b"10000000000000000"),
    "size of 2**64 + 1": chunk(b"10000000000000001"),
    "size of 40 digits": chunk(b"f" * 40),
    "size after 40 zeros": chunk(b"0" * 40 + b"1"),
    "size ended by LF": chunk(b"1", b"\nx\r\n0\r\n\r\n"),
    "size ended by CR": chunk(b"1", b"\rx\r\n0\r\n\r\n"),
    "size ended by CR CR LF": chunk(b"1\r"),
    "chunk ended by LF": chunk(b"1", b"\r\nx\n0\r\n\r\n"),
    "chunk ended by CR": chunk(b"1", b"\r\nx\r0\r\n\r\n"),
    "chunk without an end": chunk(b"1", b"\r\nx0\r\n\r\n"),
    "chunk longer than its size": chunk(b"1", b"\r\nxy\r\n0\r\n\r\n"),
    "extension without a semicolon": chunk(b"1 a"),
    "extension that is empty": chunk(b"1;"),
    "extension without a name": chunk(b"1;=a"),
    "extension with a control character": chunk(b"1;\x01"),
    "extension with a NUL": chunk(b"1;a\0"),
    "extension with CR": chunk(b"1;a\rb"),
    "extension ended by LF": chunk(b"1;a", b"\nx\r\n0\r\n\r\n"),
    "extension with LF in quotes": chunk(b'1;a="\n"'),
    "extension with an open quote": chunk(b'1;a="b'),
    "extension of 300 bytes": chunk(b"1;a=" + b"b" * 300),
    "last chunk ended by LF": CHUNKED + b"0\n\r\n",
    "last chunk and LF": CHUNKED + b"0\r\n\n",
    "last chunk and CR": CHUNKED + b"0\r\n\rX",
    "trailer without a colon": CHUNKED + b"0\r\nX\r\n\r\n",
    "trailer with a space before the colon": CHUNKED + b"0\r\nX : y\r\n\r\n",
    "trailer ended by LF": CHUNKED + b"0\r\nX: y\n\r\n",
    "trailer ended by CR CR LF": CHUNKED + b"0\r\nX: y\r\r\n\r\n",
    "trailer that is folded": CHUNKED + b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer with a NUL": CHUNKED + b"0\r\nX: \0\r\n\r\n",
    "trailer with a length": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "trailer with a coding": CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer with a host": CHUNKED + b"0\r\nHost: b\r\n\r\n",
}

VECTORS = {**REQUEST_LINES, **HEADERS, **LENGTHS, **CODINGS, **CHUNKS}


def answer(raw: bytes, *, step: int) -> tuple[list[int], bool, list[str]]:
    """Return the statuses, whether the connection is closed, and the paths that were served."""
    served: list[str] = []

    def serve(request: Request, response: Response) -> None:
        served.append(request.path)
        response.send(200)

    async def talk() -> tuple[list[int], bool, list[str]]:
        client = Client(serve, Limits(header_bytes=4096))
        client.send(*(raw[start : start + step] for start in range(0, len(raw), step)))
        return client.statuses, client.transport.ended, served

    return asyncio.run(talk())


@pytest.mark.parametrize("raw", VECTORS.values(), ids=VECTORS)
def test_an_ambiguous_request_gets_one_400_and_the_connection_is_closed(raw: bytes) -> None:
    assert answer(raw, step=len(raw)) == ([400], True, [])


@pytest.mark.parametrize("raw", VECTORS.values(), ids=VECTORS)
def test_an_ambiguous_request_is_refused_however_its_bytes_arrive(raw: bytes) -> None:
    assert answer(raw, step=1) == ([400], True, [])


@pytest.mark.parametrize("raw", VECTORS.values(), ids=VECTORS)
def test_what_follows_an_ambiguous_request_is_never_served(raw: bytes) -> None:
    statuses, closed, served = answer(NEXT + raw + NEXT, step=len(raw) + 2 * len(NEXT))

    assert (statuses, closed, served) == ([200, 400], True, ["/next"])
