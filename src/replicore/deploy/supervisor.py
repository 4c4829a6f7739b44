"""The supervisor of one deployment: its replicas, front door, control socket and state file.

It is never on the path of a request. What becomes of each process is decided in ``unit.py`` by the
table of ``replica.py``; here the units are wired to each other and to the outside.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from replicore.deploy.control import ControlServer
from replicore.deploy.deployment import Deployment, claim
from replicore.deploy.door import Door
from replicore.deploy.patience import replica_limits
from replicore.deploy.ports import PortBlocks, ReservedPort
from replicore.deploy.programs import (
    DEPLOYMENT_VARIABLE,
    GATEWAY,
    GATEWAY_ARGV,
    ReplicaProgram,
)
from replicore.deploy.provision import Provision, provide
from replicore.deploy.replica import GIVEN_UP, State
from replicore.deploy.state import (
    Claims,
    DeploymentFolder,
    UnitRecord,
    identify,
    no_such_replica,
    state_root,
)
from replicore.deploy.status import LayoutStatus, Status, UnitStatus
from replicore.deploy.strays import become_subreaper, kill_strays
from replicore.deploy.unit import Unit
from replicore.engines.engine import ReplicaPlan
from replicore.errors import DeploymentError, UpstreamError
from replicore.gateway.table import ReplicaTable
from replicore.http.fetch import fetch
from replicore.units import format_duration

_SHORTEST_PROBE_TIMEOUT_S = 1.0

Events = Callable[[UnitStatus], None]

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs a deployment from :meth:`start` to :meth:`stop`; :func:`running` calls both.

    Attributes:
        door: The front door.

    Args:
        folder: Claimed for the deployment; :meth:`stop` lets go of it.
        events: Called with every change of a replica or a worker of the gateway.
        gateway_argv: The program of a worker; it gets ``--control`` and ``--fd``.
        provision: What replicas start from; :meth:`stop` lets go of it. None finds it.
    """

    def __init__(
        self,
        deployment: Deployment,
        folder: DeploymentFolder,
        *,
        events: Events | None = None,
        gateway_argv: tuple[str, ...] = GATEWAY_ARGV,
        provision: Provision | None = None,
    ) -> None:
        self.deployment = deployment
        self.door = Door(
            deployment.spec,
            folder,
            root=folder.path.parent,
            changed=self._changed,
            argv=gateway_argv,
        )
        self._folder = folder
        self._scratch = folder.path / "replicas"
        self._events = events
        self._provision = provision
        self._control = ControlServer(self)
        self._resources = ExitStack()
        self._programs: list[ReplicaProgram] = []
        self._units: dict[str, Unit] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None
        self._examined: set[str] = set()
        self._moved = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._restarting = asyncio.Lock()
        self._turns = asyncio.Semaphore(deployment.starts_together)
        self._started_at = time.monotonic()
        self._is_over = False

    @property
    def url(self) -> str:
        """URL of the front door, without ``/v1``; empty before the start."""
        return self.door.url

    @property
    def replicas(self) -> tuple[UnitStatus, ...]:
        """Snapshots of the replicas, in order."""
        return tuple(self._status(self._units[program.name]) for program in self._programs)

    @property
    def gateways(self) -> tuple[UnitStatus, ...]:
        """Snapshots of the gateway's workers, in order."""
        return tuple(unit.status() for unit in self.door.units)

    @property
    def gateway(self) -> UnitStatus:
        """Snapshot of the gateway's only worker, or of the first."""
        return self.gateways[0]

    @property
    def is_ready(self) -> bool:
        """Whether every worker of the gateway and every replica serve."""
        return all(unit.state is State.READY for unit in self._units.values())

    async def start(self) -> None:
        """Open the front door and start everything; call it from the main thread.

        Raises:
            ArtefactError: The replicas need an artefact that is not there, or not whole.
            ConfigError: The gateway's address, or its admin port, cannot be listened on.
        """
        provision = self._provision = self._provision or provide(self.deployment)
        become_subreaper()
        if self._folder.record.last_id is not None:
            # What a killed supervisor's keepers did not live to kill.
            await kill_strays({DEPLOYMENT_VARIABLE: self._folder.record.last_id})
        await self.door.open()
        self._units.update((unit.name, unit) for unit in self.door.units)
        for plan in self._plans(provision.path):
            self._add_replica(plan)
        await self._control.open(self._folder.path)
        self._save()
        for unit in self._units.values():
            unit.start()
            self._spawn(unit.run())
        self._spawn(self._probe_forever())
        if self.deployment.spec.gateway.stall_timeout:
            self._spawn(self._end_hung_forever())

    async def wait_ready(self, timeout: float | None = None) -> None:
        """Return once the gateway and every replica serve.

        Raises:
            ReplicaError: One of them has been given up, or is the gateway and would have been.
            DeploymentError: Not after ``timeout`` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self.is_ready:
                    self._raise_if_hopeless()
                    await self._moved.wait()
        except TimeoutError:
            waiting = [name for name, unit in self._units.items() if unit.state is not State.READY]
            raise DeploymentError(
                f"{', '.join(waiting)} not ready within {format_duration(timeout or 0)}"
            ) from None
        if self._provision is not None:
            await asyncio.to_thread(self._provision.finish)

    async def wait_stop_asked(self) -> None:
        """Return once ``down``, or a call of :meth:`ask_to_stop`, has asked for the end."""
        await self._stop_asked.wait()
        if self._bug is not None:
            raise self._bug

    async def restart(self, replica: str | None = None) -> None:
        """Restart one replica or the gateway, or all replicas, each ready before the next.

        Raises:
            DeploymentError: There is no such replica, or the deployment is being stopped.
            ReplicaError: One did not become ready again; those after it were not touched.
        """
        units = self._units_named(replica)
        async with self._restarting:
            for unit in units:
                await unit.restart()

    async def stop(self) -> None:
        """Stop everything, the gateway first, and let go of the state folder; once is enough."""
        if self._is_over:
            return
        replicas = [self._units[program.name] for program in self._programs]
        for unit in self._units.values():
            unit.retire()  # a replica that ends while the gateway drains is not wanted back
        for group in (self.door.units, replicas):
            for unit in group:
                unit.close()
            await asyncio.gather(*(unit.reach({State.STOPPED}) for unit in group))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._is_over = True
        self._save()
        await self.door.close()
        self._resources.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        if self._provision is not None:
            self._provision.close()
        self._control.withdraw()
        self._folder.close()
        self._control.close()

    def kill(self) -> None:
        """Make :meth:`stop` a short one: no order, and no grace."""
        for unit in self._units.values():
            unit.kill()

    def ask_to_stop(self) -> None:
        """Make :meth:`wait_stop_asked` return."""
        self._stop_asked.set()

    def status(self) -> Status:
        """Return a snapshot of everything."""
        deployment, layout = self.deployment, self.deployment.layout
        return Status(
            name=deployment.name,
            url=self.url,
            pid=os.getpid(),
            uptime_s=time.monotonic() - self._started_at,
            ready=self.is_ready,
            model=deployment.model.served_name,
            engine=deployment.engine.kind,
            simulated=deployment.engine.simulated,
            layout=LayoutStatus(
                replicas=layout.replicas,
                tp=layout.tp,
                batch_size=layout.batch_size,
                max_model_len=layout.max_model_len,
                reason=layout.reason,
            ),
            replicas=self.replicas,
            gateways=self.gateways,
            admin_socket=str(self.door.admin_socket),
            admin_url=self.door.admin_url,
            stats=self.door.stats(),
        )

    def drain(self, replica: str, drained: bool) -> None:
        """Send no new requests to a replica, or send them again; survives its restarts.

        Raises:
            DeploymentError: There is no such replica.
        """
        self.door.drain(replica, drained)

    async def wait_drained(self, replica: str) -> None:
        """Return once a drained replica has nothing left to do.

        Raises:
            DeploymentError: It was undrained meanwhile.
        """
        await self.door.wait_drained(replica)

    def _plans(self, artefact: Path | None) -> list[ReplicaPlan]:
        blocks = self._resources.enter_context(PortBlocks(self.deployment.layout.replicas))
        return [
            self.deployment.plan(
                index,
                port=self._reserve_port(f"r{index}"),
                first_port=first_port,
                folder=self._scratch / f"r{index}",
                artefact=artefact,
            )
            for index, first_port in enumerate(blocks.first_ports)
        ]

    def _reserve_port(self, replica: str) -> int:
        """Return a port for the life of the deployment, the one of the last ``up`` if possible."""
        last = self._folder.record.unit(replica).port
        reuse_port = self.deployment.engine.traits.reuse_port
        return self._resources.enter_context(ReservedPort(last, reuse_port=reuse_port)).port

    def _add_replica(self, plan: ReplicaPlan) -> None:
        spec = self.deployment.spec.supervisor
        program = ReplicaProgram(
            self.deployment.engine,
            plan,
            self._folder,
            grace_s=spec.stop_grace,
            drained=self.door.idle,
        )
        self._programs.append(program)
        starts = self._folder.record.unit(program.name).incarnation
        self._units[program.name] = Unit(
            program,
            replica_limits(spec),
            changed=self._changed,
            incarnation=starts,
            turns=self._turns,
        )

    def _units_named(self, name: str | None) -> list[Unit]:
        """Return the unit of that name, all workers for ``gateway``, or all replicas for None."""
        if name is None:
            return [self._units[program.name] for program in self._programs]
        if name == GATEWAY:
            return list(self.door.units)
        if name in self._units:
            return [self._units[name]]
        raise no_such_replica(name, self.deployment.name, self._units)

    def _changed(self, unit: Unit) -> None:
        self.door.publish(self._table())
        self._save()
        if self._events is not None:
            self._events(self._status(unit))
        self._wake()

    def _status(self, unit: Unit) -> UnitStatus:
        return msgspec.structs.replace(unit.status(), drained=unit.name in self.door.drained)

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _raise_if_hopeless(self) -> None:
        if self._bug is not None:
            raise self._bug
        for unit in self._units.values():
            if unit.error is not None and (unit.state in GIVEN_UP or self._fails_always(unit)):
                raise unit.error

    def _fails_always(self, unit: Unit) -> bool:
        """Whether it is a gateway, which is never given up, and has failed often enough."""
        enough = self.deployment.spec.supervisor.max_failures
        return unit in self.door.units and unit.status().failures >= enough

    def _table(self) -> ReplicaTable:
        rows = ((program, self._units[program.name]) for program in self._programs)
        return ReplicaTable(
            model=self.deployment.model.served_name,
            max_model_len=self.deployment.layout.max_model_len,
            simulated=self.deployment.engine.simulated,
            replicas=tuple(
                program.row(unit.state.value, unit.incarnation) for program, unit in rows
            ),
        )

    def _save(self) -> None:
        ports = {program.name: program.plan.port for program in self._programs}
        units = tuple(_record(unit, ports.get(name)) for name, unit in self._units.items())
        record = msgspec.structs.replace(self._folder.record, url=self.url, units=units)
        try:
            self._folder.write(record)
        except OSError as error:
            # Serving goes on: the file is for the next `up`, to find the same ports again.
            _log.warning("%s cannot be written: %s", self._folder.path / "state.json", error)

    async def _probe_forever(self) -> None:
        """Note for ``status`` whether replicas answer. An engine is never killed for being slow."""
        interval = self.deployment.spec.supervisor.probe_interval
        timeout = max(interval, _SHORTEST_PROBE_TIMEOUT_S)
        while True:
            await asyncio.sleep(interval)
            units = [self._units[program.name] for program in self._programs]
            ready = [unit for unit in units if unit.state is State.READY]
            await asyncio.gather(*(_probe(unit, timeout) for unit in ready))

    async def _end_hung_forever(self) -> None:
        """Examine every replica that the gateway suspects, and end those that are hung."""
        async with asyncio.TaskGroup() as examinations:
            while True:
                await self.door.moved()
                for program in self._suspects():
                    self._examined.add(program.name)
                    examinations.create_task(self._examine(program))

    def _suspects(self) -> list[ReplicaProgram]:
        stats = self.door.stats()
        silent = {name for name, one in stats.replicas.items() if one.stalled_s} if stats else set()
        return [
            program
            for program in self._programs
            if program.name in silent - self._examined
            and self._units[program.name].state is State.READY
        ]

    async def _examine(self, program: ReplicaProgram) -> None:
        unit = self._units[program.name]
        incarnation = unit.incarnation
        patience_s = self.deployment.spec.gateway.stall_timeout
        try:
            if not await program.is_hung(patience_s=patience_s):
                await asyncio.sleep(patience_s)  # before it is suspected again
            elif unit.incarnation == incarnation:
                unit.condemn(f"it had requests and made no progress for {patience_s:g} s")
        finally:
            self._examined.discard(program.name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_bug)

    def _note_bug(self, task: asyncio.Task[None]) -> None:
        """End the deployment over an exception that nothing expects: it cannot be trusted then."""
        if not task.cancelled() and task.exception() is not None:
            self._bug = task.exception()
            self._stop_asked.set()
            self._wake()


@asynccontextmanager
async def running(
    deployment: Deployment,
    *,
    folder: DeploymentFolder | None = None,
    events: Events | None = None,
    root: Path | None = None,
    gateway_argv: tuple[str, ...] = GATEWAY_ARGV,
    provision: Provision | None = None,
) -> AsyncIterator[Supervisor]:
    """Run a deployment for the length of the block; nothing of it is left after that.

    Args:
        folder: What was claimed for it already; None claims it now.
        root: Folder of all deployments; None for the user's own.
        provision: What replicas start from, and let go of at the end; None finds it.

    Raises:
        DeploymentError: Its name or its cores are taken.
        ArtefactError: The replicas need an artefact that is not there, or not whole.
        ConfigError: The gateway's address cannot be listened on.
    """
    if folder is None:
        with Claims(root or state_root()) as claims:
            folder = claim(deployment, claims)
    supervisor = Supervisor(
        deployment, folder, events=events, gateway_argv=gateway_argv, provision=provision
    )
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.stop()


def _record(unit: Unit, port: int | None) -> UnitRecord:
    process = unit.process
    return UnitRecord(
        name=unit.name,
        incarnation=unit.incarnation,
        cores=unit.program.cores,
        port=port,
        keeper=identify(process.keeper_pid) if process else None,
        process=identify(process.pid) if process else None,
    )


async def _probe(unit: Unit, timeout: float) -> None:
    try:
        reply = await fetch(unit.program.endpoint, "GET", "/health", timeout=timeout)
    except UpstreamError as error:
        unit.health = error.message
    else:
        unit.health = "ok" if reply.status == 200 else f"status {reply.status}"
