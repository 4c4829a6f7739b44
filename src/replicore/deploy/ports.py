"""Ports for engines, reserved before an engine starts and kept while it is restarted.

To ask the kernel for a free port, close it and pass its number on is a race: whoever binds first
gets it. Here the supervisor keeps a socket bound to each port, without listening, for the life of
the deployment, and the engine binds the same port beside it. Linux lets it when both sockets have
SO_REUSEPORT and belong to the same user; connections go to the socket that listens.

The reserving socket must not have SO_REUSEADDR while it is held: two sockets that both have it may
share a port until one listens (socket(7)), and nearly every server sets it. Engines may or may not.

Some engines (vLLM) set nothing but SO_REUSEADDR. For them the reserving socket has it too. The
kernel still gives the port to nobody who asks for any free one, but a server that is told to use
exactly this port can take it while its engine is restarted.

The ports by which an engine's own processes find each other are picked by the engine, in a block
that no other replica is given (:class:`PortBlocks`).

Other deployments keep away from all of these by a name in the abstract namespace of Unix sockets
(unix(7)): there is one per network namespace, as there is of ports, and the kernel forgets a name
with the process that has it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from replicore.engines.engine import PORTS_PER_REPLICA
from replicore.errors import DeploymentError
from replicore.hardware.kernel_files import read_kernel_file

HOST = "127.0.0.1"

# Blocks are above the ports that servers are usually given, and below Kubernetes' node ports
# (30000) and those that the kernel gives to outgoing connections (32768, where nobody changed it).
_WINDOW = range(10_240, 30_000)
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class _Held:
    """Sockets that are closed together."""

    def __init__(self) -> None:
        self._sockets = ExitStack()

    def close(self) -> None:
        """Give back what is held."""
        self._sockets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ReservedPort(_Held):
    """A TCP port on loopback that one engine of this deployment can bind.

    Args:
        preferred: Taken if it is free; otherwise, and for None, the kernel picks one.
        reuse_port: The engine's server sets SO_REUSEPORT; otherwise it must set SO_REUSEADDR.

    Raises:
        OSError: No port is free.
    """

    def __init__(self, preferred: int | None = None, *, reuse_port: bool = True) -> None:
        super().__init__()
        try:
            self.port = self._reserve(preferred or 0, reuse_port)
        except OSError:
            self.port = self._reserve(0, reuse_port)

    def _reserve(self, port: int, reuse_port: bool) -> int:
        with ExitStack() as sockets:
            sock = sockets.enter_context(_bind(port, reuse_port))
            number: int = sock.getsockname()[1]
            sockets.enter_context(_claim(f"port-{number}"))
            self._sockets = sockets.pop_all()
        return number


class PortBlocks(_Held):
    """Blocks of consecutive ports, one for each replica, held against other deployments.

    The ports themselves are not bound: which of them an engine uses is for it to choose.

    Args:
        count: How many blocks.
        size: Ports of each.
        within: Ports to take them from; None for those that servers are seldom given.

    Attributes:
        first_ports: The first port of each block.

    Raises:
        DeploymentError: There are not so many.
    """

    def __init__(
        self, count: int, *, size: int = PORTS_PER_REPLICA, within: range | None = None
    ) -> None:
        super().__init__()
        ports = within or block_window(read_kernel_file(_EPHEMERAL))
        with ExitStack() as sockets:
            free = _free_blocks(ports, size, sockets)
            self.first_ports = tuple(islice(free, count))
            if len(self.first_ports) < count:
                raise DeploymentError(
                    f"replicas need {count} free blocks of {size} ports each, and there are "
                    f"{len(self.first_ports)} in {ports.start}-{ports.stop - 1}",
                    hint="fewer replicas, or stop what uses these ports",
                )
            self._sockets = sockets.pop_all()


def _bind(port: int, reuse_port: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # For the moment of bind() the flags are the other way round. SO_REUSEPORT would let it
        # share a port that another deployment of this user has reserved; without SO_REUSEADDR it
        # would fail on connections of an earlier engine that are still in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        sock.close()
        raise
    return sock


def _claim(name: str) -> socket.socket:
    """Take a name that replicore's deployments on this machine take only once.

    Raises:
        OSError: Another one has it.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.bind(f"\0replicore-{name}")
    except OSError:
        sock.close()
        raise
    return sock


def block_window(ephemeral: str | None) -> range:
    """Return the ports that blocks are taken from.

    Args:
        ephemeral: The kernel's ``ip_local_port_range``, first and last port; None where it is not
            known.
    """
    if not ephemeral:
        return _WINDOW
    lowest = int(ephemeral.split()[0])
    below = range(_WINDOW.start, min(_WINDOW.stop, lowest))
    # Where nearly all ports are the kernel's to give, to be checked is all that a block can be.
    return below if len(below) > len(_WINDOW) // 2 else _WINDOW


def _free_blocks(ports: range, size: int, claims: ExitStack) -> Iterator[int]:
    """Yield the first ports of free blocks and hold them in ``claims``."""
    for first in range(ports.start, ports.stop - size + 1, size):
        try:
            claim = _claim(f"ports-{first}")
        except OSError:
            continue
        if all(_is_free(port) for port in range(first, first + size)):
            claims.enter_context(claim)
            yield first
        else:
            claim.close()


def _is_free(port: int) -> bool:
    """Whether a server on any address could have the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.bind(("", port))
        except OSError:
            return False
    return True
