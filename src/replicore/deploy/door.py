"""The front door of a deployment: one port, the workers that serve it, and what they share.

::

    parent: Door ── Hub ── gateway.sock ─┬─ keeper ── worker 0   socket 0 ┐
              │                          └─ keeper ── worker 1   socket 1 ┴ one port
              ├─ shared cells (memfd), one eventfd for each worker
              └─ admin server ── admin.sock, gateway.admin_port

The parent opens everything and keeps it open, so a worker that ends is replaced by one that goes on
where it was: the connections of its socket wait, and its cells are cleared once it is dead.
Whoever knows the replicas hands their table to :meth:`Door.publish`.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from replicore.deploy.frontdoor import open_admin_port, open_front_door
from replicore.deploy.patience import worker_limits
from replicore.deploy.programs import GATEWAY_ARGV, GatewayProgram, WorkerPlan
from replicore.deploy.replica import LIVE
from replicore.deploy.state import DeploymentFolder, no_such_replica
from replicore.deploy.unit import Unit
from replicore.errors import DeploymentError
from replicore.gateway.observe.admin import Admin
from replicore.gateway.observe.snapshot import Snapshot
from replicore.gateway.record import Explanation
from replicore.gateway.routing.cells import Cells
from replicore.gateway.settings import settings_of
from replicore.gateway.table import ReplicaTable, Stats
from replicore.gateway.workers.hub import Hub
from replicore.http.address import url_of
from replicore.http.server import HttpServer, serve
from replicore.spec import Spec
from replicore.unix_socket import listen_unix

HUB_SOCKET = "gateway.sock"
ADMIN_SOCKET = "admin.sock"

_ADMIN_DRAIN_S = 1.0

_log = logging.getLogger(__name__)


class Door:
    """The workers of one front door, and all that they are handed; also the ``Fleet`` of ``Admin``.

    Attributes:
        url: Of the front door, without ``/v1``; empty before :meth:`open`.
        admin_url: Of the admin port; None where there is none.
        units: The workers, for the caller to run.
        drained: Names of the replicas that get no new requests, because somebody asked for that.

    Args:
        folder: Where logs and sockets are.
        root: Of all deployments, to name the one that has the port.
        changed: Called when a worker changes its state.
    """

    def __init__(
        self,
        spec: Spec,
        folder: DeploymentFolder,
        *,
        root: Path,
        changed: Callable[[Unit], None],
        argv: tuple[str, ...] = GATEWAY_ARGV,
    ) -> None:
        self.url = ""
        self.admin_url: str | None = None
        self.units: tuple[Unit, ...] = ()
        self.drained: set[str] = set()
        self._spec = spec
        self._folder = folder
        self._root = root
        self._changed = changed
        self._argv = argv
        self._hub = Hub()
        self._resources = ExitStack()
        self._cells: Cells | None = None
        self._wakers: tuple[int, ...] = ()
        self._admin = Admin(self)
        self._admin_servers: list[HttpServer] = []

    @property
    def admin_socket(self) -> Path:
        return self._folder.path / ADMIN_SOCKET

    async def open(self) -> None:
        """Open the sockets and make the units; nothing is started yet.

        Raises:
            ConfigError: A setting is wrong, or the gateway's address, or its admin port, cannot be
                listened on.
        """
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        gateway = self._spec.gateway
        settings = settings_of(gateway, stop_grace=self._spec.supervisor.stop_grace)
        sockets = open_front_door(gateway.host, gateway.port, self._root, workers=gateway.workers)
        for sock in sockets:
            self._resources.enter_context(closing(sock))
        self.url = url_of(sockets[0], scheme="https" if gateway.tls_cert else "http")
        await self._open_admin()
        if len(sockets) > 1:
            self._share(len(sockets))
        self.units = tuple(self._unit(i, sock.fileno()) for i, sock in enumerate(sockets))
        await self._hub.open(self._folder.path / HUB_SOCKET, settings)

    async def close(self) -> None:
        """Close everything, once the units are stopped; once is enough."""
        self._hub.close()
        for server in self._admin_servers:
            server.close()
            await server.wait_closed(_ADMIN_DRAIN_S)
        await self._admin.close()
        for name in (HUB_SOCKET, ADMIN_SOCKET):
            (self._folder.path / name).unlink(missing_ok=True)
        self._resources.close()

    def publish(self, table: ReplicaTable) -> None:
        """Tell the workers of a changed table; what is drained is added to it here."""
        rows = tuple(
            msgspec.structs.replace(row, drained=row.name in self.drained) for row in table.replicas
        )
        self._hub.publish(msgspec.structs.replace(table, replicas=rows))

    async def known(self) -> None:
        """Return once every worker goes by what was published."""
        revision = self.table().revision
        while not self._hub.is_known(revision):
            await self._hub.moved()

    async def idle(self, replica: str) -> None:
        """Return once nothing is outstanding at a replica that gets no new requests any more."""
        revision = self.table().revision
        while not self._hub.is_idle(replica, revision):
            await self._hub.moved()

    async def moved(self) -> None:
        """Return when a worker has said something, has ended, or has been told something."""
        await self._hub.moved()

    def table(self) -> ReplicaTable:
        """Return what the workers were told last."""
        return self._hub.table

    def stats(self) -> Stats | None:
        """Return the counters of all workers; None before the first report."""
        return self._hub.stats()

    async def snapshot(self) -> Snapshot:
        """Return the metrics of all workers."""
        return await self._hub.snapshot()

    async def explain(self, request_id: str) -> Explanation | None:
        """Return why a request went where it did; None where no worker knows it any more."""
        return await self._hub.explain(request_id)

    def drain(self, name: str, drained: bool) -> None:
        """Send no new requests to a replica, or send them again; survives its restarts.

        Raises:
            DeploymentError: There is no such replica.
        """
        table = self.table()
        names = [row.name for row in table.replicas]
        if name not in names:
            raise no_such_replica(name, self._folder.path.name, names)
        if drained:
            self.drained.add(name)
        else:
            self.drained.discard(name)
        if self.drained.issuperset(names):
            _log.warning("every replica is drained: requests wait, and time out")
        self.publish(table)

    async def wait_drained(self, name: str) -> None:
        """Return once a drained replica has nothing left to do.

        Raises:
            DeploymentError: It was undrained meanwhile.
        """
        revision = self.table().revision
        while not self._hub.is_idle(name, revision):
            if name not in self.drained:
                raise DeploymentError(f"{name} was undrained before its requests had ended")
            await self._hub.moved()

    async def _open_admin(self) -> None:
        await self._serve_admin(listen_unix(self.admin_socket))
        port = self._spec.gateway.admin_port
        if port is not None:
            listener = open_admin_port(port, self._root)
            self.admin_url = url_of(listener)
            await self._serve_admin(listener)

    async def _serve_admin(self, listener: socket.socket) -> None:
        self._resources.enter_context(closing(listener))
        self._admin_servers.append(await serve(self._admin.handle, sock=listener))

    def _share(self, workers: int) -> None:
        """Make what workers share: who has how much in flight, and how they wake each other."""
        self._cells = Cells.create(workers)
        self._resources.callback(self._cells.close)
        flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
        self._wakers = tuple(os.eventfd(0, flags) for _ in range(workers))
        for fd in self._wakers:
            self._resources.callback(os.close, fd)

    def _unit(self, index: int, listener: int) -> Unit:
        plan = WorkerPlan(
            index=index,
            workers=self._spec.gateway.workers,
            control=self._folder.path / HUB_SOCKET,
            listener=listener,
            cells=self._cells.fd if self._cells else None,
            wakers=self._wakers,
            url=self.url,
        )
        program = GatewayProgram(
            self._argv,
            self._folder,
            plan,
            grace_s=self._spec.supervisor.stop_grace,
            served=lambda: self._served(index),
        )

        def changed(unit: Unit) -> None:
            if unit.state not in LIVE:
                self._clear(index)
            self._changed(unit)

        starts = self._folder.record.unit(plan.name).incarnation
        limits = worker_limits(self._spec.supervisor)
        return Unit(program, limits, changed=changed, incarnation=starts)

    async def _served(self, worker: int) -> None:
        while not self._hub.serves(worker):
            await self._hub.moved()

    def _clear(self, worker: int) -> None:
        """Free the slots that a dead worker held, and let the others take them."""
        self._hub.forget(worker)
        if self._cells is None:
            return
        self._cells.clear(worker)
        for fd in self._wakers:
            os.eventfd_write(fd, 1)
