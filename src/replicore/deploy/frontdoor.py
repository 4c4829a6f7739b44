"""The sockets that clients connect to, opened by the parent before anything else starts."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from replicore.deploy.state import Claims
from replicore.errors import ConfigError
from replicore.http.server import listen

LOOPBACK = "127.0.0.1"

_HINT = "`--port 0` takes any free port, `--port N` another one"
_ADMIN_HINT = "`--set gateway.admin_port=0` takes any free port"


def open_front_door(host: str, port: int, root: Path, *, workers: int = 1) -> list[socket.socket]:
    """Return a listening socket for each worker, all on one port; port 0 takes any free one.

    The kernel spreads connections over them (SO_REUSEPORT, socket(7)). It would also let a second
    deployment of this user listen there and take its share of our clients. So the first socket is
    bound and listens without that option, which no other listener on the port allows, and only
    then lets others in.

    Args:
        root: Of all deployments, to name the one that has the port.

    Raises:
        ConfigError: The port is taken, or the address is not this machine's.
    """
    with ExitStack() as opened:
        first = opened.enter_context(_listen(host, port, root, key="gateway.port", hint=_HINT))
        sockets = [first]
        if workers > 1:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(workers - 1):
            another = listen(host, first.getsockname()[1], reuse_port=True)
            sockets.append(opened.enter_context(another))
        opened.pop_all()
    return sockets


def open_admin_port(port: int, root: Path) -> socket.socket:
    """Return the listening socket of the admin port, on loopback.

    Raises:
        ConfigError: The port is taken.
    """
    return _listen(LOOPBACK, port, root, key="gateway.admin_port", hint=_ADMIN_HINT)


def _listen(host: str, port: int, root: Path, *, key: str, hint: str) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder = _deployment_on(port, root) or _process_on(port)
            by = f" by {holder}" if holder else ""
            raise ConfigError(f"{key}: {port} is in use{by}", hint=hint) from None
        if error.errno == errno.EACCES:
            rule = f"{key}: {port} is for privileged users only; all others are from 1024 up"
            raise ConfigError(rule, hint=hint) from None
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
