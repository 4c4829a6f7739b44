"""The head of an HTTP/1.1 request, read strictly. Pure.

Where two servers read the same bytes differently, a request can hide inside another one (RFC 9112,
11.2). So whatever that standard leaves to a server's leniency is refused here: bare CR or LF,
folded lines, space around names, repeated or odd framing headers, and a target that names another
host than ``host`` does. llhttp, which reads the other direction, accepts everything that this
reader accepts (a test compares them), but also a few things that it must not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

_MOST_FIELDS = 100  # Apache's LimitRequestFields
_MOST_LENGTH_DIGITS = 18  # what every server can hold in 64 bits

# What a head is made of (RFC 9110, 5.5) besides CR and LF. Without these bytes, exactly its line
# ends must be left: that finds control characters and bare CR and LF at once.
_TEXT = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_LINE_ENDS = [b"\r\n" * count for count in range(_MOST_FIELDS + 1)]

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(
    rb"(?:https?://([^/?]*))?((?:/[!-\"$->@-~]*)?)(?:\?([!-\"$-~]*))?", re.IGNORECASE
)
_HOST = re.compile(rb"(?:[0-9A-Za-z._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

_METHODS = {
    name.encode(): name
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
}
_VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}

# What a memo holds.
_MOST_KEYS = 512
_LONGEST_KEY = 128  # bytes

# Fields that decide where a message ends and whom it is for.
_FRAMING = (b"host", b"content-length", b"transfer-encoding")

T = TypeVar("T")


class BadRequest(Exception):
    """Raised for a request that is answered with ``status``; nothing after it can be trusted."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Request:
    """One complete request. Header names are lower case; repeated headers are joined by ``, ``."""

    __slots__ = ("body", "headers", "http_version", "keep_alive", "method", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[bytes, bytes],
        http_version: str,
        keep_alive: bool,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""
        self.http_version = http_version
        self.keep_alive = keep_alive


def read_head(head: bytes) -> Request:
    """Return the request that this head begins; its body is still empty.

    Args:
        head: Request line and headers, without the last line's end and the empty line.

    Raises:
        BadRequest: Not a request that all servers read alike.
    """
    lines = head.split(b"\r\n")
    if len(lines) > _MOST_FIELDS + 1:
        raise BadRequest(431, f"the request has more than {_MOST_FIELDS} headers")
    if head.translate(None, _TEXT) != _LINE_ENDS[len(lines) - 1]:
        raise BadRequest(400, "the head has a control character or a bare CR or LF")
    try:
        method, target, version = lines.pop(0).split(b" ")
        name, http_version = _METHODS[method], _VERSIONS[version]
    except (ValueError, KeyError):
        raise BadRequest(400, "the request line is not a known METHOD, target, HTTP/1.1") from None
    headers = _read_fields(lines)
    authority, path, query = _targets[target]
    if path == "*" and name != "OPTIONS":
        raise BadRequest(400, "only OPTIONS takes the target *")
    _check_host(headers.get(b"host"), http_version, authority)
    connection = headers.get(b"connection")
    keep_alive = http_version == "1.1" if connection is None else _keeps(connection, http_version)
    return Request(name, path, query, headers, http_version, keep_alive)


def body_length(request: Request) -> int | None:
    """Return the length of the body in bytes; None: it is chunked.

    Raises:
        BadRequest: The headers do not say for certain where the body ends.
    """
    length = request.headers.get(b"content-length")
    coding = request.headers.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or length is not None or request.http_version == "1.0":
            raise BadRequest(
                400, "transfer-encoding must be chunked, in HTTP/1.1, without a content-length"
            )
        return None
    if length is None:
        return 0
    if not length.isdigit() or len(length) > _MOST_LENGTH_DIGITS:
        raise BadRequest(400, "content-length must be one decimal number of at most 18 digits")
    return int(length)


def check_unfinished(head: bytes, checked: int) -> None:
    """Look at a head of which more is to come, so that a bad one is not waited for.

    Args:
        head: All of it that has come.
        checked: How many bytes of it an earlier call has seen.

    Raises:
        BadRequest: It has a control character, or a bare CR or LF.
    """
    new = head[checked - 1 :].removeprefix(b"\n") if checked else head
    new = new.removesuffix(b"\r")
    if new.translate(None, _TEXT) != b"\r\n" * new.count(b"\r\n"):
        raise BadRequest(400, "the head has a control character or a bare CR or LF")


def read_trailer(line: bytes) -> None:
    """Check one line after a body; what it says is dropped (RFC 9110, 6.5.1).

    Raises:
        BadRequest: Not ``name: value``, or about how the message is framed.
    """
    name, _ = _read_field(line)
    if line.translate(None, _TEXT):
        raise BadRequest(400, "a trailer has a control character or a bare CR or LF")
    if name in _FRAMING:
        raise BadRequest(400, "a trailer must not say how the message is framed")


def _read_field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    return _names[name], value.strip() if colon else _refuse_field(name)


def _read_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    headers = {
        _names[name]: value.strip() if colon else _refuse_field(name)
        for name, colon, value in [line.partition(b":") for line in lines]
    }
    return headers if len(headers) == len(lines) else _join_repeated(lines)


def _join_repeated(lines: list[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in map(_read_field, lines):
        if name not in headers:
            headers[name] = value
        elif name in _FRAMING:
            raise BadRequest(400, f"header {name.decode()} is given twice")
        else:
            headers[name] += b", " + value
    return headers


def _check_host(host: bytes | None, http_version: str, authority: bytes | None) -> None:
    if host is None:
        if http_version == "1.1":
            raise BadRequest(400, "header host is missing")
        return
    if _hosts[host] != (authority or host).lower():
        raise BadRequest(400, "the target and the header host name different hosts")


def _keeps(connection: bytes, http_version: str) -> bool:
    """Whether the client wants to keep the connection (RFC 9112, 9.3)."""
    if connection == b"keep-alive":
        return True
    options = [option.strip() for option in connection.lower().split(b",")]
    return b"close" not in options and (http_version == "1.1" or b"keep-alive" in options)


class _Memo(dict[bytes, T]):
    """What ``read`` returned for short inputs, emptied when it is full: clients repeat themselves.

    A hit costs a tenth of reading.
    """

    def __init__(self, read: Callable[[bytes], T]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, key: bytes) -> T:
        value = self._read(key)
        if len(key) <= _LONGEST_KEY:
            if len(self) >= _MOST_KEYS:
                self.clear()
            self[key] = value
        return value


def _refuse_field(line: bytes) -> bytes:
    raise BadRequest(400, f"not a header: {line[:40].decode('latin-1')!r}")


def _read_name(name: bytes) -> bytes:
    if _TOKEN.fullmatch(name) is None:
        _refuse_field(name)
    return name.lower()


def _read_host(host: bytes) -> bytes:
    if _HOST.fullmatch(host) is None:
        raise BadRequest(400, "header host is not a host name or address with a port")
    return host.lower()


def _read_target(target: bytes) -> tuple[bytes | None, str, str]:
    """Return authority, path and query; RFC 9112, 3.2: a server must accept absolute form too."""
    if target == b"*":
        return None, "*", ""
    found = _TARGET.fullmatch(target)
    if found is None or not target or (found[1] is None and not found[2]):
        raise BadRequest(400, "the target is not a path or an http:// URL of plain ASCII")
    if found[1] is not None:
        _read_host(found[1])
    path = found[2] or b"/"
    return found[1], path.decode("latin-1"), (found[3] or b"").decode("latin-1")


_names = _Memo(_read_name)
_hosts = _Memo(_read_host)
_targets = _Memo(_read_target)
