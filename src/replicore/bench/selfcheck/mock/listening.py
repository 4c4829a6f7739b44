"""The socket that the mock listens on; what is set on it, the connections that it accepts have."""

from __future__ import annotations

import socket
from contextlib import suppress

_BACKLOG = 4096

# Linux's, for which Python has no names: SO_TIMESTAMPING, and the two flags of software stamps.
_SO_TIMESTAMPING = 37
_SOFTWARE_STAMPS = (1 << 3) | (1 << 4)


def listen(host: str, port: int) -> socket.socket:
    """Return a non-blocking listening socket whose requests have the kernel's stamps, if any do.

    Raises:
        OSError: The address is taken, or is not this machine's.
    """
    listener = socket.create_server((host, port), backlog=_BACKLOG)
    listener.setblocking(False)
    # Else a token waits for the acknowledgement of the one before it, up to 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SOFTWARE_STAMPS)
    return listener
