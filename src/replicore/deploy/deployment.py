"""From the spec to what is deployed: engine, machine, model, and the layout that was chosen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.layout import Layout, choose_layout
from replicore.deploy.state import Claims, DeploymentFolder
from replicore.engines.create import create_engine
from replicore.engines.engine import Engine
from replicore.engines.sim.engine import simulated_model
from replicore.errors import InfeasiblePlan
from replicore.gateway.settings import settings_of
from replicore.hardware.machine import Machine
from replicore.models.progress import Progress
from replicore.models.resolve import resolve
from replicore.models.shape import Model
from replicore.spec import Spec

CACHE_VARIABLE = "REPLICORE_CACHE_DIR"


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
    """What is deployed."""

    name: str
    spec: Spec
    engine: Engine
    machine: Machine
    model: Model
    layout: Layout

    @property
    def claimed_cores(self) -> CoreRange:
        """Cores that no other deployment may use; simulated ones are nobody's."""
        if self.machine.kind == "sim":
            return NO_CORES
        return CoreRange.of(core for cores in self.layout.ranges for core in cores)


def cache_folder() -> Path:
    """Return the folder for what can be made or downloaded again."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("replicore")


def prepare(spec: Spec, *, progress: Progress | None = None) -> Prepared:
    """Check the engine, look at the machine and get the model; may download, for minutes.

    Raises:
        ConfigError: The engine is not there or refuses its options, there is no such device, or
            the gateway cannot do what is asked of it.
        ModelError: The model cannot be had.
    """
    settings_of(spec.gateway)  # refuses what the gateway cannot do, before a download
    engine = create_engine(spec.engine)
    engine.check()
    machine = engine.detect()
    if engine.simulated:
        model = simulated_model(spec.model)
    else:
        model = resolve(spec.model, cache=cache_folder(), progress=progress)
    return Prepared(
        spec=spec,
        engine=engine,
        machine=machine,
        model=model,
        legal_tp=engine.legal_tp(machine, model.shape),
    )


def lay_out(prepared: Prepared, *, taken: CoreRange = NO_CORES) -> Deployment:
    """Choose the layout.

    Args:
        taken: Cores to leave alone.

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
    )
    return Deployment(
        name=prepared.spec.name,
        spec=prepared.spec,
        engine=engine,
        machine=prepared.machine,
        model=prepared.model,
        layout=layout,
    )


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
