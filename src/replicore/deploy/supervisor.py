"""The supervisor of one deployment: its units, its front door, its control socket, its state file.

It is never on the path of a request. What becomes of each process is decided in ``unit.py`` by the
table of ``replica.py``; here the units are wired to each other and to the outside.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from replicore.deploy.control import ControlServer
from replicore.deploy.deployment import Deployment, claim
from replicore.deploy.frontdoor import open_front_door
from replicore.deploy.ports import HOST, ReservedPort
from replicore.deploy.programs import (
    DEPLOYMENT_VARIABLE,
    GATEWAY,
    GATEWAY_ARGV,
    GatewayProgram,
    ReplicaProgram,
)
from replicore.deploy.replica import GIVEN_UP, RestartPolicy, State
from replicore.deploy.reports import Reports
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
from replicore.deploy.unit import Limits, Program, Unit
from replicore.engines.engine import ReplicaPlan
from replicore.errors import DeploymentError, UpstreamError
from replicore.gateway.settings import settings_of
from replicore.gateway.table import ReplicaTable, Report, Welcome
from replicore.http.address import url_of
from replicore.http.client import fetch
from replicore.spec import SupervisorSpec
from replicore.units import format_duration

# A gateway has nothing to load: it is there at once, or something is wrong with it. And while it is
# away every client waits.
_GATEWAY_START_TIMEOUT_S = 30.0
_GATEWAY_BACKOFF_S = 0.1

_SHORTEST_PROBE_TIMEOUT_S = 1.0

Events = Callable[[UnitStatus], None]

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs a deployment from :meth:`start` to :meth:`stop`; :func:`running` calls both.

    Attributes:
        url: Of the front door, without ``/v1``; empty before the start.

    Args:
        folder: Claimed for the deployment; :meth:`stop` lets go of it.
        events: Called with every change of a replica or the gateway.
        gateway_argv: The gateway's program; it gets ``--control`` and ``--fd``.
    """

    def __init__(
        self,
        deployment: Deployment,
        folder: DeploymentFolder,
        *,
        events: Events | None = None,
        gateway_argv: tuple[str, ...] = GATEWAY_ARGV,
    ) -> None:
        self.deployment = deployment
        self.url = ""
        self._folder = folder
        self._events = events
        self._gateway_argv = gateway_argv
        self._control = ControlServer(self)
        self._reports = Reports()
        self._resources = ExitStack()
        self._programs: list[ReplicaProgram] = []
        self._units: dict[str, Unit] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None
        self._revision = 0
        self._moved = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._restarting = asyncio.Lock()
        self._started_at = time.monotonic()
        self._is_over = False

    @property
    def replicas(self) -> tuple[UnitStatus, ...]:
        """Snapshots of the replicas, in order."""
        return tuple(self._units[program.name].status() for program in self._programs)

    @property
    def gateway(self) -> UnitStatus:
        """Snapshot of the gateway."""
        return self._units[GATEWAY].status()

    @property
    def is_ready(self) -> bool:
        """Whether the gateway and every replica serve."""
        return all(unit.state is State.READY for unit in self._units.values())

    async def start(self) -> None:
        """Open the front door and start everything; call it from the main thread.

        Raises:
            ConfigError: The gateway's address cannot be listened on.
        """
        become_subreaper()
        if self._folder.record.last_id is not None:
            # What a killed supervisor's keepers did not live to kill.
            await kill_strays({DEPLOYMENT_VARIABLE: self._folder.record.last_id})
        self._add_gateway()
        for plan in self._plans():
            self._add_replica(plan)
        await self._control.open(self._folder.path)
        self._save()
        for unit in self._units.values():
            unit.start()
            self._spawn(unit.run())
        self._spawn(self._probe_forever())

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
        names = [program.name for program in self._programs] if replica is None else [replica]
        units = [self._unit(name) for name in names]
        async with self._restarting:
            for unit in units:
                await unit.restart()

    async def stop(self) -> None:
        """Stop everything, the gateway first, and let go of the state folder; once is enough."""
        if self._is_over:
            return
        gateway = [unit for unit in self._units.values() if unit.name == GATEWAY]
        replicas = [unit for unit in self._units.values() if unit.name != GATEWAY]
        for unit in self._units.values():
            unit.retire()  # a replica that ends while the gateway drains is not wanted back
        for group in (gateway, replicas):
            for unit in group:
                unit.close()
            await asyncio.gather(*(unit.reach({State.STOPPED}) for unit in group))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._is_over = True
        self._save()
        self._resources.close()
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
            gateway=self.gateway,
            stats=self._reports.latest,
        )

    def welcome(self) -> Welcome:
        """Return what a gateway is told first."""
        spec = self.deployment.spec
        settings = settings_of(spec.gateway, stop_grace=spec.supervisor.stop_grace)
        return Welcome(settings=settings, table=self._table())

    def take_report(self, report: Report) -> None:
        """Keep the gateway's counters."""
        self._reports.take(report)

    def _plans(self) -> list[ReplicaPlan]:
        layout = self.deployment.layout
        return [
            ReplicaPlan(
                index=index,
                cores=cores,
                batch_size=layout.batch_size,
                max_model_len=layout.max_model_len,
                model=self.deployment.model,
                host=HOST,
                port=self._reserve_port(f"r{index}"),
            )
            for index, cores in enumerate(layout.ranges)
        ]

    def _reserve_port(self, replica: str) -> int:
        """Return a port for the life of the deployment, the one of the last ``up`` if possible."""
        last = self._folder.record.unit(replica).port
        return self._resources.enter_context(ReservedPort(last)).port

    def _add_replica(self, plan: ReplicaPlan) -> None:
        spec = self.deployment.spec.supervisor
        program = ReplicaProgram(
            self.deployment.engine,
            plan,
            self._folder,
            grace_s=spec.stop_grace,
            drained=self._drained,
        )
        self._programs.append(program)
        self._add(program, _limits(spec))

    def _add_gateway(self) -> None:
        door, spec = self.deployment.spec.gateway, self.deployment.spec.supervisor
        listener = open_front_door(door.host, door.port, self._folder.path.parent)
        self._resources.enter_context(closing(listener))
        self.url = url_of(listener)
        program = GatewayProgram(
            self._gateway_argv,
            self._folder,
            fd=listener.fileno(),
            url=self.url,
            grace_s=spec.stop_grace,
            is_connected=lambda: self._control.has_watcher,
        )
        limits = _limits(spec)
        # Without it the address is open and nobody answers there, so it is never given up.
        eager = replace(limits.restarts, backoff_initial_s=_GATEWAY_BACKOFF_S, max_failures=None)
        self._add(
            program, replace(limits, start_timeout_s=_GATEWAY_START_TIMEOUT_S, restarts=eager)
        )

    def _add(self, program: Program, limits: Limits) -> None:
        starts = self._folder.record.unit(program.name).incarnation
        self._units[program.name] = Unit(program, limits, changed=self._changed, incarnation=starts)

    def _unit(self, name: str) -> Unit:
        if name in self._units:
            return self._units[name]
        raise no_such_replica(name, self.deployment.name, self._units)

    def _changed(self, unit: Unit) -> None:
        self._revision += 1
        self._control.publish(self._table())
        self._save()
        if self._events is not None:
            self._events(unit.status())
        self._wake()

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
        """Whether it is the gateway, which is never given up, and has failed often enough."""
        enough = self.deployment.spec.supervisor.max_failures
        return unit.name == GATEWAY and unit.status().failures >= enough

    def _table(self) -> ReplicaTable:
        rows = ((program, self._units[program.name]) for program in self._programs)
        return ReplicaTable(
            model=self.deployment.model.served_name,
            max_model_len=self.deployment.layout.max_model_len,
            simulated=self.deployment.engine.simulated,
            revision=self._revision,
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

    async def _drained(self, replica: str) -> None:
        if self._control.has_watcher:
            await self._reports.drained(replica, revision=self._revision)

    async def _probe_forever(self) -> None:
        """Note for ``status`` whether replicas answer. An engine is never killed for being slow."""
        interval = self.deployment.spec.supervisor.probe_interval
        timeout = max(interval, _SHORTEST_PROBE_TIMEOUT_S)
        while True:
            await asyncio.sleep(interval)
            units = [self._units[program.name] for program in self._programs]
            ready = [unit for unit in units if unit.state is State.READY]
            await asyncio.gather(*(_probe(unit, timeout) for unit in ready))

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
) -> AsyncIterator[Supervisor]:
    """Run a deployment for the length of the block; nothing of it is left after that.

    Args:
        folder: What was claimed for it already; None claims it now.
        root: Folder of all deployments; None for the user's own.

    Raises:
        DeploymentError: Its name or its cores are taken.
        ConfigError: The gateway's address cannot be listened on.
    """
    if folder is None:
        with Claims(root or state_root()) as claims:
            folder = claim(deployment, claims)
    supervisor = Supervisor(deployment, folder, events=events, gateway_argv=gateway_argv)
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.stop()


def _limits(spec: SupervisorSpec) -> Limits:
    return Limits(
        start_timeout_s=spec.start_timeout,
        drain_timeout_s=spec.drain_timeout,
        stop_grace_s=spec.stop_grace,
        restarts=RestartPolicy(
            backoff_initial_s=spec.backoff_initial,
            backoff_max_s=spec.backoff_max,
            stable_after_s=spec.stable_after,
            max_failures=spec.max_failures,
            window_s=spec.failure_window,
        ),
    )


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
