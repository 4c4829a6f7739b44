"""Unix sockets in folders with long paths.

The path of a Unix socket has at most 107 bytes (unix(7)), and that of a state folder may have more.
Both ends therefore name the socket by a file descriptor of the folder, ``/proc/self/fd/N/``.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield a path of at most 107 bytes for a socket; it means the same within the block."""
    handle = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)


def listen_unix(path: Path, *, backlog: int = 64) -> socket.socket:
    """Return a non-blocking listening socket at ``path``, for this user only.

    Its folder is nobody else's: what is there already is of a process that was killed.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as short:
            listener.bind(short)
        path.chmod(0o600)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def connect_unix(path: Path) -> socket.socket:
    """Return a connection to the socket at ``path``.

    Raises:
        OSError: Nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as short:
            connection.connect(short)
    except OSError:
        connection.close()
        raise
    return connection
