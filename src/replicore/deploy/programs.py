"""The two kinds of program that a supervisor runs: engines and the gateway."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping

from replicore.deploy.control import SOCKET_NAME
from replicore.deploy.process import Job
from replicore.deploy.state import DeploymentFolder
from replicore.engines.engine import Engine, ReplicaPlan
from replicore.errors import UpstreamError
from replicore.gateway.table import ReplicaRow
from replicore.http.client import fetch

# In the environment of all that a deployment starts: of which ``up`` it is, and of which start.
DEPLOYMENT_VARIABLE = "REPLICORE_DEPLOYMENT"
UNIT_VARIABLE = "REPLICORE_UNIT"

GATEWAY = "gateway"
GATEWAY_ARGV = (sys.executable, "-P", "-m", "replicore.gateway")

_ANSWER_TIMEOUT_S = 5.0


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
        command = self._engine.command(self.plan)
        return Job(
            argv=command.argv,
            env=command.env,
            unset=command.unset,
            tag=tag(self._folder, self.name, incarnation),
            cpus=command.affinity,
            log=self._folder.log(self.name, incarnation),
            grace_s=self._grace_s,
        )

    async def check_ready(self) -> None:
        await self._engine.check_ready(self.plan)

    async def drained(self) -> None:
        await self._drained(self.name)

    def row(self, state: str, incarnation: int) -> ReplicaRow:
        """Return what the gateway is told."""
        return ReplicaRow(
            name=self.name,
            endpoint=self.endpoint,
            state=state,
            slots=self.plan.batch_size,
            incarnation=incarnation,
            prompt_progress=self._engine.traits.prompt_progress,
        )


class GatewayProgram:
    """The front door, which listens on a socket that it is handed.

    While it is restarted the socket stays open here, so that new connections wait in its backlog.

    Args:
        fd: The listening socket.
        url: Where to reach it from this machine.
        is_connected: Whether it follows the replica table.
    """

    name = GATEWAY
    title = "the gateway"
    cores = ""

    def __init__(
        self,
        argv: tuple[str, ...],
        folder: DeploymentFolder,
        *,
        fd: int,
        url: str,
        grace_s: float,
        is_connected: Callable[[], bool],
    ) -> None:
        self.endpoint = url
        self._argv = argv
        self._folder = folder
        self._fd = fd
        self._grace_s = grace_s
        self._is_connected = is_connected

    def job(self, incarnation: int) -> Job:
        arguments = ("--control", str(self._folder.path / SOCKET_NAME), "--fd", str(self._fd))
        return Job(
            argv=(*self._argv, *arguments),
            tag=tag(self._folder, self.name, incarnation),
            log=self._folder.log(self.name, incarnation),
            grace_s=self._grace_s,
            pass_fds=(self._fd,),
        )

    async def check_ready(self) -> None:
        if not self._is_connected():
            raise UpstreamError("the gateway has not asked for its table yet")
        # Any status will do: without a ready replica it is 503.
        await fetch(self.endpoint, "GET", "/health", timeout=_ANSWER_TIMEOUT_S)

    async def drained(self) -> None:
        """Return at once: it finishes its requests itself when it is asked to end."""


def tag(folder: DeploymentFolder, unit: str, incarnation: int) -> Mapping[str, str]:
    """Return the variables that mark one start of a unit, and whatever comes of it."""
    return {DEPLOYMENT_VARIABLE: folder.record.id, UNIT_VARIABLE: f"{unit}.{incarnation}"}
