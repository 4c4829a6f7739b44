"""From the spec to what is deployed: engine, machine, model, and the layout that was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.layout import Layout, choose_layout
from replicore.deploy.picking import Fitting, NoPick, Pick
from replicore.deploy.ports import HOST
from replicore.deploy.state import Claims, DeploymentFolder
from replicore.engines.create import create_engine
from replicore.engines.engine import Engine, ReplicaPlan
from replicore.engines.sim.stand_in import simulated_model
from replicore.errors import ConfigError, InfeasiblePlan
from replicore.files import cache_folder
from replicore.gateway.settings import check_settings, settings_of
from replicore.hardware.machine import Machine
from replicore.models.outline import outline as model_outline
from replicore.models.progress import Progress
from replicore.models.resolve import resolve
from replicore.models.shape import Model
from replicore.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a layout is chosen from; the model's files are on this machine.

    Attributes:
        legal_tp: Degrees that machine, model and engine allow, ascending.
    """

    spec: Spec
    engine: Engine
    machine: Machine
    model: Model
    legal_tp: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is deployed.

    Attributes:
        planned_replicas: How many there are to be, where fewer are run: a compile runs the first.
    """

    name: str
    spec: Spec
    engine: Engine
    machine: Machine
    model: Model
    layout: Layout
    planned_replicas: int | None = None

    @property
    def claimed_cores(self) -> CoreRange:
        """Cores that no other deployment may use; simulated ones are nobody's."""
        if self.machine.kind == "sim":
            return NO_CORES
        return CoreRange.of(core for cores in self.layout.ranges for core in cores)

    @property
    def starts_together(self) -> int:
        """How many replicas may load at the same time, at most all of them."""
        wanted, replicas = self.spec.supervisor.starts_together, self.layout.replicas
        limit = self.engine.starts_together if wanted == "auto" else wanted
        return min(limit or replicas, replicas)

    def plan(
        self,
        index: int,
        *,
        port: int,
        first_port: int = 0,
        folder: Path | None = None,
        artefact: Path | None = None,
    ) -> ReplicaPlan:
        """Return what a replica's engine needs to know; :class:`ReplicaPlan` has the meanings."""
        return ReplicaPlan(
            index=index,
            cores=self.layout.ranges[index],
            batch_size=self.layout.batch_size,
            max_model_len=self.layout.max_model_len,
            model=self.model,
            host=HOST,
            port=port,
            replicas=self.planned_replicas or self.layout.replicas,
            folder=folder,
            first_port=first_port,
            artefact=artefact,
        )


def prepare(
    spec: Spec,
    *,
    progress: Progress | None = None,
    outline: bool = False,
    elsewhere: bool = False,
    engine: Engine | None = None,
) -> Prepared:
    """Check the engine, look at the machine and get the model; may download, for minutes.

    Args:
        outline: Take the model's shape without its weights, ask the engine's environment nothing,
            and read no file that the gateway needs: enough to plan, print and check a deployment
            anywhere, not to start it.
        elsewhere: Take a machine that the spec only plans for; an outline always does.
        engine: For an outline, one that has been checked and so knows what is installed.

    Raises:
        ConfigError: The engine is not there or refuses its options, there is no such device, or
            the gateway cannot do what is asked of it.
        ModelError: The model cannot be had.
    """
    engine = engine or create_engine(spec.engine)
    if outline:
        check_settings(spec.gateway)
    else:
        settings_of(spec.gateway)  # refuses what the gateway cannot do, before a download
        engine.check()
    machine = engine.detect()
    if not (outline or elsewhere):
        check_here(machine)
    model = _model(spec, engine, progress, outline=outline)
    return Prepared(
        spec=spec,
        engine=engine,
        machine=machine,
        model=model,
        legal_tp=engine.legal_tp(machine, model.shape),
    )


def check_here(machine: Machine) -> None:
    """Check that replicas can be started on a machine.

    Raises:
        ConfigError: It is one that the spec only plans for.
    """
    if machine.planned_by is not None:
        raise ConfigError(
            f"{machine.planned_by} plans for another machine than this one, so no replica can be "
            "started here; unset the key to take what is here",
            hint="`replicore doctor` and `replicore render` work for another machine",
        )


def _model(spec: Spec, engine: Engine, progress: Progress | None, *, outline: bool) -> Model:
    if engine.simulated:
        return simulated_model(spec.model, spec.engine.sim)
    if outline:
        return model_outline(spec.model)
    return resolve(spec.model, cache=cache_folder(), progress=progress)


def lay_out(prepared: Prepared, *, taken: CoreRange = NO_CORES, predict: bool = True) -> Deployment:
    """Choose the layout.

    Args:
        taken: Cores to leave alone.
        predict: Ask the planner where the spec leaves a choice; otherwise the rule chooses, which
            fills the machine.

    Raises:
        InfeasiblePlan: Nothing does what the spec asks for.
    """
    engine, shape = prepared.engine, prepared.model.shape
    layout = choose_layout(
        prepared.spec.layout,
        prepared.machine,
        shape,
        legal_tp=prepared.legal_tp,
        memory_bytes=lambda **sizes: engine.memory_bytes(shape, **sizes),
        taken=taken,
        advise=partial(_ask_planner, prepared) if predict else None,
    )
    return Deployment(
        name=prepared.spec.name,
        spec=prepared.spec,
        engine=engine,
        machine=prepared.machine,
        model=prepared.model,
        layout=layout,
    )


def _ask_planner(prepared: Prepared, fitting: Fitting) -> Pick | NoPick:
    planner = import_module("replicore.deploy.auto")  # slow to import, and seldom needed
    answer: Pick | NoPick = planner.advise(prepared, fitting)
    return answer


def plan_deployment(
    spec: Spec, *, taken: CoreRange = NO_CORES, progress: Progress | None = None
) -> Deployment:
    """Return the deployment that the spec asks for; see :func:`prepare` and :func:`lay_out`."""
    return lay_out(prepare(spec, progress=progress), taken=taken)


def lay_out_and_claim(prepared: Prepared, root: Path) -> tuple[Deployment, DeploymentFolder]:
    """Choose a layout around the deployments that run, and take its name and cores.

    Raises:
        InfeasiblePlan: The machine cannot do it, with or without the others.
        DeploymentError: The name is taken, or other deployments hold cores that it needs.
    """
    with Claims(root) as claims:
        taken = claims.taken(prepared.machine.kind)
        try:
            deployment = lay_out(prepared, taken=taken)
        except InfeasiblePlan:
            # If the others are the reason, the claim below says who they are.
            deployment = lay_out(prepared)
            if not deployment.claimed_cores.overlaps(taken):
                raise
        return deployment, claim(deployment, claims)


def claim(deployment: Deployment, claims: Claims) -> DeploymentFolder:
    """Take the deployment's name and cores.

    Raises:
        DeploymentError: One of them is taken.
    """
    return claims.claim(deployment.name, deployment.machine.kind, deployment.claimed_cores)
