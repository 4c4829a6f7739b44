"""The socket that the mock listens on; what is set on it, the connections that it accepts have."""

from __future__ import annotations

import socket

from replicore.http.stamped import ask_for_stamps

_BACKLOG = 4096


def listen(host: str, port: int) -> socket.socket:
    """Return a non-blocking listening socket whose requests have the kernel's stamps, if any do.

    Raises:
        OSError: The address is taken, or is not this machine's.
    """
    listener = socket.create_server((host, port), backlog=_BACKLOG)
    listener.setblocking(False)
    # Else a token waits for the acknowledgement of the one before it, up to 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ask_for_stamps(listener)
    return listener
