"""What ``replicore compile`` does before replicas are started: make their artefact, or try one.

Where the engine's recipe has a command, that makes the artefact (``making.py``). Where a replica
makes it by starting, the first replica of the deployment is started, until it has generated a
token, and stopped. Where nothing is compiled the same is done as a check: the model loads, and its
files are in the page cache afterwards.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from replicore.artefacts.building import finish_in_place, remove, writable
from replicore.artefacts.digest import digest
from replicore.artefacts.lock import describe_holders, try_lock, wait_for_maker
from replicore.artefacts.store import Entry, State
from replicore.cores import NO_CORES
from replicore.deploy.deployment import Deployment, Prepared, check_here, claim, lay_out
from replicore.deploy.logs import LogReader
from replicore.deploy.making import Maker, Progress, Watch
from replicore.deploy.private import private
from replicore.deploy.provision import Provision, find_complete, recipe_of, store_of
from replicore.deploy.state import Claims
from replicore.deploy.supervisor import Supervisor, running
from replicore.engines.recipe import Recipe, Stage
from replicore.errors import ArtefactError, InfeasiblePlan
from replicore.spec import Spec

_PREFIX = "compile-"
_REPLICA = "r0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What came of a compile.

    Attributes:
        entry: The artefact; None where the engine has none, and a replica was started as a check.
        was_there: Whether nothing had to be done.
        seconds: How long it took, waiting for somebody else's included.
    """

    entry: Entry | None
    was_there: bool
    seconds: float


class Compile:
    """Makes what one deployment needs; :meth:`run` may be cancelled at any time.

    Args:
        root: Folder of all deployments.
        force: Make it anew although it is there.
    """

    def __init__(
        self, deployment: Deployment, root: Path, watch: Watch, *, force: bool = False
    ) -> None:
        self._deployment = deployment
        self._root = root
        self._watch = watch
        self._force = force
        self._store = store_of(deployment.spec)
        self._task: asyncio.Task[object] | None = None
        self._killable: Maker | Supervisor | None = None

    async def run(self) -> Compiled:
        """Return what came of it.

        Raises:
            ArtefactError: It could not be made, or is in use where it is to be replaced.
            ReplicaError: The engine does not start.
            DeploymentError: Another deployment holds the cores that the engine needs.
            ConfigError: The engine cannot be asked what it needs.
        """
        self._task = asyncio.current_task()
        began = time.monotonic()
        recipe = recipe_of(self._deployment)
        if recipe is None:
            await self._start_one(Provision(self._store), self._deployment.spec, ())
            entry, was_there = None, False
        else:
            entry, was_there = await self._compile(recipe)
        return Compiled(entry=entry, was_there=was_there, seconds=time.monotonic() - began)

    def ask_to_stop(self) -> None:
        """Cancel :meth:`run`."""
        if self._task is not None:
            self._task.cancel()

    def kill(self) -> None:
        """Make the end a short one."""
        if self._killable is not None:
            self._killable.kill()

    async def _compile(self, recipe: Recipe) -> tuple[Entry, bool]:
        """Return the artefact, and whether it was there, or has been made by somebody else."""
        path = self._store.lock(digest(recipe.fields))
        while (entry := self._find(recipe)) is None:
            if (lock := try_lock(path, exclusive=True)) is not None:
                with lock:
                    there = self._find(recipe)  # made between the two lines above
                    return there or await self._make(recipe), there is not None
            if not await wait_for_maker(path, waiting=self._watch.waiting):
                _refuse_if_used(path, self._store.path(path.name))
        return entry, True

    def _find(self, recipe: Recipe) -> Entry | None:
        return None if self._force else find_complete(self._store, recipe)

    async def _make(self, recipe: Recipe) -> Entry:
        name = digest(recipe.fields)
        before = self._store.entry(name)
        if before.state is State.UNREADABLE and not self._force:
            raise ArtefactError(before.problem, hint="`replicore compile --force` makes it anew")
        if recipe.command is not None:
            self._killable = maker = Maker(self._store, recipe, self._watch)
            return await maker.make(recipe.command)
        if self._force or before.state not in (State.ABSENT, State.UNFINISHED):
            remove(self._store, name)
        with writable(self._store):
            before.path.mkdir(parents=True, exist_ok=True)
        return await self._make_by_starting(recipe, before.path)

    async def _make_by_starting(self, recipe: Recipe, folder: Path) -> Entry:
        spec = self._deployment.spec
        patience = {"start_timeout": max(recipe.timeout_s, spec.supervisor.start_timeout)}
        patient = spec.supervisor.model_copy(update=patience)
        began = time.monotonic()
        patient_spec = spec.model_copy(update={"supervisor": patient})
        await self._start_one(Provision(self._store, path=folder), patient_spec, recipe.stages)
        return finish_in_place(self._store, recipe, seconds=time.monotonic() - began)

    async def _start_one(self, provision: Provision, spec: Spec, stages: Sequence[Stage]) -> None:
        """Run the first replica until it is ready; its logs stay if it never is."""
        check_here(self._deployment.machine)
        one = _first_alone(self._deployment, spec)
        with Claims(self._root) as claims:
            folder = claim(one, claims)
        async with running(one, folder=folder, provision=provision) as supervisor:
            self._killable = supervisor
            with closing(LogReader(folder.path, _REPLICA, last=0)) as reader:
                progress = Progress(self._watch, stages)
                following = asyncio.create_task(progress.follow_for_ever(reader))
                try:
                    await supervisor.wait_ready()
                finally:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
        shutil.rmtree(folder.path, ignore_errors=True)


def lay_out_to_compile(prepared: Prepared, root: Path) -> Deployment:
    """Choose the layout that ``up`` would choose now, or on a machine that nobody else uses.

    An artefact does not depend on which cores it is used on, so none need be free to make it.

    Raises:
        InfeasiblePlan: The machine cannot do it, whoever uses it.
    """
    with Claims(root) as claims:
        taken = claims.taken(prepared.machine.kind)
    try:
        return lay_out(prepared, taken=taken)
    except InfeasiblePlan:
        return lay_out(replace(prepared, machine=replace(prepared.machine, busy=NO_CORES)))


def _refuse_if_used(lock: Path, artefact: Path) -> None:
    free = try_lock(lock, exclusive=True)
    if free is None:
        raise ArtefactError(
            f"the artefact {artefact} is in use by {describe_holders(lock)}",
            hint="`replicore down` stops the deployment that uses it",
        )
    free.close()


def _first_alone(deployment: Deployment, spec: Spec) -> Deployment:
    """Return the deployment with the first of its replicas only, as it would be among all."""
    own = private(spec, _PREFIX)
    once = spec.supervisor.model_copy(update={"max_failures": 1})
    return replace(
        deployment,
        name=own.name,
        spec=own.model_copy(update={"supervisor": once}),
        layout=replace(deployment.layout, ranges=deployment.layout.ranges[:1]),
        planned_replicas=deployment.layout.replicas,
    )
