"""Ports for engines, reserved before an engine starts and kept while it is restarted.

To ask the kernel for a free port, close it and pass its number on is a race: whoever binds first
gets it. Here the supervisor keeps a socket bound to each port, without listening, for the life of
the deployment, and the engine binds the same port beside it. Linux lets it when both sockets have
SO_REUSEPORT and belong to the same user; connections go to the socket that listens.

The reserving socket must not have SO_REUSEADDR while it is held: two sockets that both have it may
share a port until one listens (socket(7)), and nearly every server sets it. Engines may or may not.
"""

from __future__ import annotations

import socket
from types import TracebackType

HOST = "127.0.0.1"


class ReservedPort:
    """A TCP port on loopback that only sockets with SO_REUSEPORT of this user can bind.

    Args:
        preferred: Taken if it is free; otherwise, and for None, the kernel picks one.

    Raises:
        OSError: No port is free.
    """

    def __init__(self, preferred: int | None = None) -> None:
        try:
            self._socket = _bind(preferred or 0)
        except OSError:
            self._socket = _bind(0)
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def __enter__(self) -> ReservedPort:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _bind(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # For the moment of bind() the flags are the other way round. SO_REUSEPORT would let it
        # share a port that another deployment of this user has reserved; without SO_REUSEADDR it
        # would fail on connections of an earlier engine that are still in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        sock.close()
        raise
    return sock
