"""One connection of the mock: requests in, one stream at a time out."""

from __future__ import annotations

import re
import socket
import time

from replicore.http.stamped import Arrival

_ANCILLARY_BYTES = 128
_READ_BYTES = 256 * 1024

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Closed(Exception):
    """Raised when the client is gone, or reads so slowly that the socket is full."""


class Connection:
    """A client's connection, and the stream that it waits for.

    Attributes:
        due: When the next token should go out.
        sent: When the last one did.
        left: Tokens that are still to come; 0 without a stream.
        tokens: Of the whole stream.
        first: Bytes of the first token.
        token: Bytes of a further one.
        last: Bytes of the last one.
        close_after: Whether the client asked to close the connection after the answer.
    """

    __slots__ = (
        "_received",
        "_sock",
        "close_after",
        "due",
        "first",
        "last",
        "left",
        "sent",
        "token",
        "tokens",
    )

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._received = bytearray()
        self.due = self.sent = 0.0
        self.left = 0
        self.tokens = 0
        self.first = self.token = self.last = b""
        self.close_after = False

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def read(self, arrival: Arrival) -> bool:
        """Take what has come, and tell ``arrival`` when it did; return whether anything has.

        Raises:
            Closed: The client is gone.
        """
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_READ_BYTES, _ANCILLARY_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        arrival.note(time.perf_counter(), ancillary[0][2] if ancillary else None)
        self._received += data
        return True

    def request(self) -> tuple[bytes, bytes] | None:
        """Return the next whole request, its head and its body; None while there is none."""
        received = self._received
        end = received.find(b"\r\n\r\n") + 4
        if end == 3:
            return None
        length = _LENGTH.search(received, 0, end)
        size = int(length[1]) if length else 0
        if len(received) < end + size:
            return None
        head, body = bytes(received[:end]), bytes(received[end : end + size])
        del received[: end + size]
        self.close_after = _CLOSE.search(head) is not None
        return head, body

    def send(self, data: bytes) -> None:
        """Give all of ``data`` to the kernel.

        Raises:
            Closed: It does not take it: the client is gone, or megabytes behind.
        """
        try:
            sent = self._sock.send(data)
        except OSError as error:
            raise Closed from error
        if sent != len(data):
            raise Closed
