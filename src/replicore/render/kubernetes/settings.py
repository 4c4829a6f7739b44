"""Where a deployment lies in a cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from replicore.artefacts.digest import digest
from replicore.cores import CoreRange
from replicore.deploy.deployment import Deployment
from replicore.engines.engine import ReplicaPlan
from replicore.engines.recipe import Recipe
from replicore.errors import ConfigError
from replicore.models.outline import MODELS
from replicore.render.kubernetes.objects import PORT, object_name
from replicore.render.service import hub_model

ARTEFACTS = Path("/artefacts")
RUN = Path("/run/replicore")
_FIRST_PORT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A deployment as pods.

    Attributes:
        name: Of the objects.
        image: Has the engine's environment.
        gateway_image: Has replicore.
        replica: Any of them, as it is inside its pod: core numbers and ports are the pod's own.
        recipe: Of what must be, or may be, compiled before; None for nothing.
    """

    deployment: Deployment
    name: str
    image: str
    gateway_image: str
    replica: ReplicaPlan
    recipe: Recipe | None

    @property
    def replicas(self) -> int:
        return self.deployment.layout.replicas

    @property
    def models_claim(self) -> str:
        return f"{self.name}-models"

    @property
    def artefacts_claim(self) -> str:
        return f"{self.name}-artefacts"

    @property
    def loads_one_by_one(self) -> bool:
        """Whether a replica waits until the one before it is ready."""
        return self.deployment.starts_together < self.replicas


def plan_cluster(deployment: Deployment, *, image: str, gateway_image: str) -> Cluster:
    """Choose ports and folders as they are in a pod.

    Raises:
        ConfigError: Replicas share devices, or the engine cannot be asked.
    """
    if deployment.machine.sharing > 1:
        raise ConfigError(
            f"engine.vllm.replicas_per_device: {deployment.machine.sharing} replicas share a device"
            ", and each pod is given devices of its own; 1 works"
        )
    plan = _plan(deployment)
    recipe = deployment.engine.recipe(plan, deployment.machine)
    artefact = ARTEFACTS / digest(recipe.fields) if recipe is not None else None
    return Cluster(
        deployment=deployment,
        name=object_name(deployment.name),
        image=image,
        gateway_image=gateway_image,
        replica=replace(plan, artefact=artefact),
        recipe=recipe,
    )


def _plan(deployment: Deployment) -> ReplicaPlan:
    plan = deployment.plan(0, port=PORT, first_port=_FIRST_PORT, folder=RUN)
    return replace(
        plan,
        cores=CoreRange(tuple(range(plan.tp))),
        model=replace(plan.model, path=_model_path(deployment)),
        host="0.0.0.0",
    )


def _model_path(deployment: Deployment) -> Path:
    """Return where the model lies in the volume, wherever it lies on this machine."""
    hub = hub_model(deployment)
    return MODELS / (deployment.model.path.name if hub is None else hub[0])
