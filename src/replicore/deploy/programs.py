"""The two kinds of program that a supervisor runs: engines and the gateway."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from replicore.deploy.hung import is_hung
from replicore.deploy.process import Job
from replicore.deploy.state import DeploymentFolder
from replicore.engines.engine import Engine, ReplicaPlan
from replicore.gateway.table import ReplicaRow

# In the environment of all that a deployment starts: of which ``up`` it is, and of which start.
DEPLOYMENT_VARIABLE = "REPLICORE_DEPLOYMENT"
UNIT_VARIABLE = "REPLICORE_UNIT"

GATEWAY = "gateway"
GATEWAY_ARGV = (sys.executable, "-P", "-m", "replicore.gateway")


class ReplicaProgram:
    """One replica's engine.

    Args:
        drained: Returns once the gateway has nothing outstanding at the replica of that name.
    """

    def __init__(
        self,
        engine: Engine,
        plan: ReplicaPlan,
        folder: DeploymentFolder,
        *,
        grace_s: float,
        drained: Callable[[str], Awaitable[None]],
    ) -> None:
        self.plan = plan
        self.name = plan.name
        self.title = f"replica {plan.name}"
        self.cores = str(plan.cores)
        self.endpoint = plan.endpoint
        self._engine = engine
        self._folder = folder
        self._grace_s = grace_s
        self._drained = drained

    def job(self, incarnation: int) -> Job:
        _empty(self.plan.folder)
        command = self._engine.command(self.plan)
        return Job(
            argv=command.argv,
            env=command.env,
            unset=command.unset,
            tag=tag(self._folder, self.name, incarnation),
            cpus=command.affinity,
            segments=command.segments,
            log=self._folder.log(self.name, incarnation),
            grace_s=self._grace_s,
        )

    async def check_ready(self) -> None:
        await self._engine.check_ready(self.plan)

    async def drained(self) -> None:
        await self._drained(self.name)

    async def is_hung(self, *, patience_s: float) -> bool:
        """Whether it makes no progress any more; see ``hung.py``."""
        return await is_hung(self.plan, patience_s=patience_s)

    def row(self, state: str, incarnation: int) -> ReplicaRow:
        """Return what the gateway is told."""
        return ReplicaRow(
            name=self.name,
            endpoint=self.endpoint,
            state=state,
            slots=self.plan.batch_size,
            incarnation=incarnation,
            traits=self._engine.traits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """One worker of the gateway as planned.

    Attributes:
        index: From 0.
        workers: How many there are in all.
        control: The Unix socket of the hub.
        listener: Its own listening socket; all of them are on one port.
        cells: The memory that the workers share; None where there is only one.
        wakers: An eventfd for each worker, by which the others wake it; none where it is alone.
        url: Of the front door.
    """

    index: int
    workers: int
    control: Path
    listener: int
    cells: int | None
    wakers: tuple[int, ...]
    url: str

    @property
    def name(self) -> str:
        return GATEWAY if self.workers == 1 else f"{GATEWAY}.{self.index}"

    @property
    def title(self) -> str:
        return "the gateway" if self.workers == 1 else f"gateway worker {self.index}"


class GatewayProgram:
    """A worker of the front door, which listens on a socket that it is handed.

    While it is restarted the socket stays open here, so that new connections wait in its backlog.

    Args:
        served: Returns once it takes requests.
    """

    cores = ""

    def __init__(
        self,
        argv: tuple[str, ...],
        folder: DeploymentFolder,
        plan: WorkerPlan,
        *,
        grace_s: float,
        served: Callable[[], Awaitable[None]],
    ) -> None:
        self.plan = plan
        self.name = plan.name
        self.title = plan.title
        self.endpoint = plan.url
        self._argv = argv
        self._folder = folder
        self._grace_s = grace_s
        self._served = served

    def job(self, incarnation: int) -> Job:
        plan = self.plan
        arguments = ["--control", str(plan.control), "--fd", str(plan.listener)]
        inherited = [plan.listener]
        if plan.cells is not None:
            wakers = ",".join(str(fd) for fd in plan.wakers)
            arguments += ["--worker", str(plan.index), "--cells-fd", str(plan.cells)]
            arguments += ["--wake-fds", wakers]
            inherited += [plan.cells, *plan.wakers]
        return Job(
            argv=(*self._argv, *arguments),
            tag=tag(self._folder, self.name, incarnation),
            log=self._folder.log(self.name, incarnation),
            grace_s=self._grace_s,
            pass_fds=tuple(inherited),
        )

    async def check_ready(self) -> None:
        # Not by a request: the port is all workers', and a certificate may be for another name.
        await self._served()

    async def drained(self) -> None:
        """Return at once: it finishes its requests itself when it is asked to end."""


def _empty(folder: Path | None) -> None:
    """Make the folder anew: a start must not read what an earlier one has left in it."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)


def is_worker(unit: str) -> bool:
    """Whether a unit of that name is the gateway, or one of its workers."""
    return unit == GATEWAY or unit.startswith(f"{GATEWAY}.")


def tag(folder: DeploymentFolder, unit: str, incarnation: int) -> Mapping[str, str]:
    """Return the variables that mark one start of a unit, and whatever comes of it."""
    return {DEPLOYMENT_VARIABLE: folder.record.id, UNIT_VARIABLE: f"{unit}.{incarnation}"}
