from __future__ import annotations

import pytest

from replicore.http.request import (
    BadRequest,
    Request,
    _hosts,
    _names,
    _targets,
    body_length,
    read_head,
)


def read(*lines: bytes) -> Request:
    return read_head(b"\r\n".join(lines))


def test_a_head_is_read_into_its_parts() -> None:
    request = read(b"POST /a/b?c=d HTTP/1.1", b"Host: x:80", b"X-A: \tb c\t ", b"content-length: 7")

    assert (request.method, request.path, request.query) == ("POST", "/a/b", "c=d")
    assert request.headers == {b"host": b"x:80", b"x-a": b"b c", b"content-length": b"7"}
    assert body_length(request) == 7


def test_repeated_headers_are_joined() -> None:
    request = read(b"GET / HTTP/1.1", b"host: x", b"Accept: a", b"accept: b", b"ACCEPT: c")

    assert request.headers[b"accept"] == b"a, b, c"


def test_a_header_may_be_empty_and_have_bytes_beyond_ascii() -> None:
    request = read(b"GET / HTTP/1.1", b"host: x", b"a:", b"b: \xe4\xff")

    assert request.headers == {b"host": b"x", b"a": b"", b"b": b"\xe4\xff"}


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a?", "/a", ""),
        (b"/a?b?c", "/a", "b?c"),
        (b"//a", "//a", ""),
        (b"/%00", "/%00", ""),
        (b"http://x", "/", ""),
        (b"http://x?a", "/", "a"),
        (b"HTTP://X/a/b?c", "/a/b", "c"),
        (b"https://x/", "/", ""),
    ],
)
def test_a_target_is_a_path_or_an_url(target: bytes, path: str, query: str) -> None:
    request = read(b"GET " + target + b" HTTP/1.1", b"host: x")

    assert (request.path, request.query) == (path, query)


def test_options_may_ask_about_the_server() -> None:
    assert read(b"OPTIONS * HTTP/1.1", b"host: x").path == "*"


@pytest.mark.parametrize("host", [b"a.b-c_d", b"127.0.0.1:8000", b"[::1]", b"[::1]:8000"])
def test_a_host_may_be_a_name_or_an_address(host: bytes) -> None:
    assert read(b"GET / HTTP/1.1", b"host: " + host).headers[b"host"] == host


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"HTTP/1.1", None, True),
        (b"HTTP/1.1", b"keep-alive", True),
        (b"HTTP/1.1", b"close", False),
        (b"HTTP/1.1", b"te, Close", False),
        (b"HTTP/1.1", b"closed", True),
        (b"HTTP/1.1", b"keep-alive, close", False),
        (b"HTTP/1.0", None, False),
        (b"HTTP/1.0", b"Keep-Alive", True),
        (b"HTTP/1.0", b"te", False),
    ],
)
def test_a_connection_is_kept_as_the_client_asks(
    version: bytes, connection: bytes | None, kept: bool
) -> None:
    fields = [b"connection: " + connection] if connection is not None else []

    assert read(b"GET / " + version, b"host: x", *fields).keep_alive is kept


def test_http_1_0_needs_no_host() -> None:
    assert read(b"GET / HTTP/1.0").http_version == "1.0"


def test_a_chunked_body_has_no_length() -> None:
    request = read(b"POST / HTTP/1.1", b"host: x", b"transfer-encoding: Chunked")

    assert body_length(request) is None


def test_more_headers_than_anyone_needs_are_too_many() -> None:
    with pytest.raises(BadRequest, match="more than 100 headers") as caught:
        read(b"GET / HTTP/1.1", b"host: x", *[b"a: b"] * 100)

    assert caught.value.status == 431


def test_what_clients_invent_is_not_remembered_for_ever() -> None:
    for number in range(2000):
        request = read(b"GET /%d HTTP/1.1" % number, b"host: h%d" % number, b"x-%d: y" % number)
        assert request.path == f"/{number}"

    assert max(len(_names), len(_hosts), len(_targets)) <= 512


def test_what_is_long_is_not_remembered() -> None:
    read(b"GET /" + b"a" * 1000 + b" HTTP/1.1", b"host: " + b"h" * 1000, b"x" * 1000 + b": y")

    assert max(map(len, [*_names, *_hosts, *_targets])) <= 128
