"""Request bodies that arrive in several reads: of a known length, or in chunks. Pure."""

from __future__ import annotations

import re

from replicore.http.request import BadRequest, read_trailer

# Fifteen hex digits fit in 60 bits. Extensions mean nothing to us and must be ignored; the space
# that the standard lets a lenient reader skip is refused.
_SIZE = re.compile(
    rb"([0-9A-Fa-f]{1,15})"
    rb"(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    rb'(?:=(?:[!#$%&\'*+.^_`|~0-9A-Za-z-]+|"[\t !#-\[\]-~]*"))?)*'
)
_LONGEST_SIZE_LINE = 256

# A piece that a list holds costs some 40 bytes beside its own.
_MOST_PIECES = 1024


class SizedBody:
    """Puts a body of ``length`` bytes together.

    Attributes:
        size: Bytes of the body that have come.
    """

    __slots__ = ("_left", "_pieces", "size")

    def __init__(self, length: int) -> None:
        self._left = length
        self._pieces: list[bytes] = []
        self.size = 0

    def feed(self, data: bytes) -> bytes | None:
        """Return what follows the body in ``data``; None where the body goes on."""
        part = data if len(data) <= self._left else data[: self._left]
        self._left -= len(part)
        self.size += len(part)
        _add(self._pieces, part)
        return None if self._left else data[len(part) :]

    def join(self) -> bytes:
        """Return what has come of the body."""
        return b"".join(self._pieces)


class ChunkedBody:
    """Puts a body together from chunks (RFC 9112, 7.1), strictly; trailers are dropped.

    Args:
        most: Bytes of the body.
        most_trailers: Bytes of the trailers.

    Attributes:
        size: Bytes of the body that have come.
    """

    __slots__ = (
        "_ended",
        "_held",
        "_in_trailers",
        "_left",
        "_most",
        "_owes_end",
        "_pieces",
        "_trailers_left",
        "size",
    )

    def __init__(self, most: int, most_trailers: int) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self._most = most
        self._trailers_left = most_trailers
        self._held = b""
        self._left = 0
        self._owes_end = False
        self._in_trailers = False
        self._ended = False

    def feed(self, data: bytes) -> bytes | None:
        """Return what follows the body in ``data``; None where the body goes on.

        Raises:
            BadRequest: Not chunks that all servers read alike, or too much.
        """
        data = self._held + data
        chunks: list[bytes] = []
        start = 0
        while not self._ended and (end := self._step(data, start, chunks)) is not None:
            start = end
        if chunks:
            _add(self._pieces, b"".join(chunks))
        if self._ended:
            return data[start:]
        self._held = data[start:]
        return None

    def join(self) -> bytes:
        """Return what has come of the body."""
        return b"".join(self._pieces)

    def _step(self, data: bytes, start: int, chunks: list[bytes]) -> int | None:
        """Take a line or a part of a chunk; return where it ends, None if it is not all here."""
        if self._left:
            return self._take_data(data, start, chunks)
        if self._owes_end:
            return self._take_line_end(data, start)
        line = self._line(data, start)
        if line is None:
            return None
        if self._in_trailers:
            self._take_trailer(line)
        else:
            self._take_size(line)
        return start + len(line) + 2

    def _take_data(self, data: bytes, start: int, chunks: list[bytes]) -> int | None:
        part = data[start : start + self._left]
        if not part:
            return None
        chunks.append(part)
        self._left -= len(part)
        self.size += len(part)
        self._owes_end = not self._left
        return start + len(part)

    def _take_line_end(self, data: bytes, start: int) -> int | None:
        end = data[start : start + 2]
        if end == b"\r\n":
            self._owes_end = False
            return start + 2
        if end in (b"", b"\r"):
            return None
        raise BadRequest(400, "a chunk does not end where its size says")

    def _line(self, data: bytes, start: int) -> bytes | None:
        longest = self._trailers_left if self._in_trailers else _LONGEST_SIZE_LINE
        end = data.find(b"\r\n", start, start + longest + 2)
        line = data[start : end if end >= 0 else start + longest + 2]
        if b"\n" in line or b"\r" in line[:-1]:
            raise BadRequest(400, "the chunked body has a bare CR or LF")
        if end >= 0:
            return line
        if len(line) > longest:
            status = 431 if self._in_trailers else 400
            raise BadRequest(status, f"a line of the chunked body exceeds {longest} bytes")
        return None

    def _take_size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise BadRequest(400, "a chunk does not begin with its size in hexadecimal")
        self._left = int(found[1], 16)
        self._in_trailers = not self._left
        self._most -= self._left
        if self._most < 0:
            raise BadRequest(413, "the chunked body exceeds the size that is allowed")

    def _take_trailer(self, line: bytes) -> None:
        self._trailers_left -= len(line)
        if line:
            read_trailer(line)
        else:
            self._ended = True


def _add(pieces: list[bytes], data: bytes) -> None:
    pieces.append(data)
    if len(pieces) > _MOST_PIECES:
        pieces[:] = [b"".join(pieces)]
