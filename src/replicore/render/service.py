"""What is rendered, in whichever form: the deployment, and where it will run."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from replicore.artefacts.digest import digest
from replicore.deploy.deployment import Deployment
from replicore.engines.command import Command
from replicore.engines.engine import PORTS_PER_REPLICA, ReplicaPlan
from replicore.engines.recipe import Recipe
from replicore.errors import ConfigError
from replicore.models.source import HubSource, parse_source
from replicore.spec.tables import GatewaySpec
from replicore.spec.toml import toml_value

# Blocks of ports for the engines' own processes: below those of Kubernetes' nodes, and those that
# Linux gives to outgoing connections.
_FIRST_PORTS = range(20_000, 30_000, PORTS_PER_REPLICA)
_DEFAULT_PORT = 8000

# What systemd and images have where nobody sets another.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A deployment with its ports and folders chosen.

    Attributes:
        replicas: As ``up`` would plan them, on ports that follow the front door's.
        recipe: Of what must be, or may be, compiled before; None for nothing.
        artefact: Folder of that; None without a recipe.
        folder: Of all that is written while it runs.
    """

    deployment: Deployment
    replicas: tuple[ReplicaPlan, ...]
    recipe: Recipe | None
    artefact: Path | None
    folder: Path

    @property
    def name(self) -> str:
        return self.deployment.name

    @property
    def unit(self) -> str:
        """What the names of systemd units begin with: none of them may be one of systemd's own."""
        return f"replicore-{self.name}"

    @property
    def gateway_port(self) -> int:
        return front_port(self.deployment)

    @property
    def starts_together(self) -> int:
        """Replicas that load at the same time."""
        return self.deployment.starts_together

    @property
    def concurrency(self) -> int:
        """Requests in flight of the spec's workload: all slots, unless it says another number."""
        slots = len(self.replicas) * self.deployment.layout.batch_size
        return self.deployment.spec.workload.concurrency or slots

    @property
    def is_warmed_by_a_replica(self) -> bool:
        """Whether the first replica fills a cache that the others then start from."""
        return self.recipe is not None and self.recipe.command is None

    @property
    def replica_bytes(self) -> int:
        """What one replica needs in all, in bytes."""
        layout = self.deployment.layout
        return self.deployment.engine.memory_bytes(
            self.deployment.model.shape,
            tp=layout.tp,
            batch_size=layout.batch_size,
            max_model_len=layout.max_model_len,
        )

    @property
    def hub_model(self) -> tuple[str, str] | None:
        """Repository and revision of a model that is to be downloaded; None for another one."""
        return None if self.deployment.model.path.exists() else hub_model(self.deployment)

    def gateway_arguments(self) -> list[str]:
        """Return the arguments of ``replicore gateway`` that put it before these replicas."""
        endpoints = [word for plan in self.replicas for word in ("--endpoint", plan.endpoint)]
        slots = str(self.deployment.layout.batch_size)
        sizes = ["--slots", slots, "--port", str(self.gateway_port)]
        return [*endpoints, *sizes, *gateway_settings(self.deployment.spec.gateway)]

    def commands(self, *, path: str = SYSTEM_PATH) -> Sequence[Command]:
        """Return the process of each replica; :func:`command_of` says what ``path`` is."""
        return [command_of(self.deployment, replica, path=path) for replica in self.replicas]

    def compile_command(self, artefact: Path, work: Path) -> Command | None:
        """Return what makes the artefact; None where a replica makes it by starting."""
        make = self.recipe.command if self.recipe is not None else None
        return make(artefact, work) if make is not None else None


def command_of(deployment: Deployment, replica: ReplicaPlan, *, path: str = SYSTEM_PATH) -> Command:
    """Return the process of a replica.

    Args:
        path: Takes the place of this shell's own search path, which names folders of this user.
    """
    command = deployment.engine.command(replica)
    found, own = command.env.get("PATH", ""), os.environ.get("PATH", os.defpath)
    if not found.endswith(own):
        return command
    return replace(command, env={**command.env, "PATH": found.removesuffix(own) + path})


def hub_model(deployment: Deployment) -> tuple[str, str] | None:
    """Return repository and revision of a model that the hub has; None for another one."""
    if deployment.engine.simulated:
        return None
    spec = deployment.spec.model
    match parse_source(spec.source):
        case HubSource(repo, None):
            return repo, spec.revision or "main"
        case _:
            return None


def gateway_settings(gateway: GatewaySpec, *, without: Set[str] = frozenset({"port"})) -> list[str]:
    """Return ``--set`` for each key of ``[gateway]``, but those, that is not the default."""
    defaults = GatewaySpec()
    changed = {
        key: getattr(gateway, key)
        for key in GatewaySpec.model_fields
        if key not in without and getattr(gateway, key) != getattr(defaults, key)
    }
    return [word for key, value in changed.items() for word in _set(f"gateway.{key}", value)]


def _set(key: str, value: object) -> tuple[str, str]:
    is_plain = isinstance(value, bool | int | float | tuple)
    return "--set", f"{key}={toml_value(value) if is_plain else value}"


def front_port(deployment: Deployment) -> int:
    """Return the gateway's port; a rendered file cannot leave it to the kernel."""
    return deployment.spec.gateway.port or _DEFAULT_PORT


def plan_service(deployment: Deployment, *, folder: Path) -> Service:
    """Choose ports and folders, all of them below ``folder``.

    Raises:
        ConfigError: There are more replicas than blocks of ports.
    """
    count = deployment.layout.replicas
    if count > len(_FIRST_PORTS):
        raise ConfigError(
            f"layout.replicas: {count} are more than rendered files have blocks of ports for; "
            f"up to {len(_FIRST_PORTS)} work"
        )
    first = _plan(deployment, 0, folder)
    recipe = deployment.engine.recipe(first, deployment.machine)
    artefact = folder / "artefacts" / digest(recipe.fields) if recipe is not None else None
    plans = [_plan(deployment, index, folder) for index in range(count)]
    return Service(
        deployment=deployment,
        replicas=tuple(replace(plan, artefact=artefact) for plan in plans),
        recipe=recipe,
        artefact=artefact,
        folder=folder,
    )


def _plan(deployment: Deployment, index: int, folder: Path) -> ReplicaPlan:
    return deployment.plan(
        index,
        port=front_port(deployment) + 1 + index,
        first_port=_FIRST_PORTS[index],
        folder=folder / "run" / f"r{index}",
    )
