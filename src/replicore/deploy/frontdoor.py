"""The socket that clients connect to, opened by the supervisor before anything else starts."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from replicore.deploy.state import Claims
from replicore.errors import ConfigError
from replicore.http.server import listen

_HINT = "`--port 0` takes any free port, `--port N` another one"


def open_front_door(host: str, port: int, root: Path) -> socket.socket:
    """Return the listening socket; port 0 takes any free one.

    Args:
        root: Of all deployments, to name the one that has the port.

    Raises:
        ConfigError: The port is taken, or the address is not this machine's.
    """
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder = _deployment_on(port, root) or _process_on(port)
            by = f" by {holder}" if holder else ""
            raise ConfigError(f"gateway.port: {port} is in use{by}", hint=_HINT) from None
        if error.errno == errno.EACCES:
            rule = f"gateway.port: {port} is for privileged users only; all others are from 1024 up"
            raise ConfigError(rule, hint=_HINT) from None
        raise ConfigError(
            f'gateway.host: cannot listen on "{host}" ({error.strerror}); use an address of this '
            f"machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
        ) from None


def _deployment_on(port: int, root: Path) -> str | None:
    with Claims(root) as claims:
        running = claims.running()
    for neighbour in running:
        url = neighbour.record.url if neighbour.record else None
        if url is not None and urlsplit(url).port == port:
            return f'the deployment "{neighbour.name}"'
    return None


def _process_on(port: int) -> str | None:
    """Return who listens on a port; None where the system does not tell."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            listens = connection.status == psutil.CONN_LISTEN and connection.pid is not None
            if listens and address and address.port == port:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None
