"""Where the doctor looks, and what for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replicore.deploy.deployment import Deployment
from replicore.deploy.state import Neighbour, state_root
from replicore.files import cache_folder
from replicore.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look; another computer in tests.

    Attributes:
        root: Where ``dev``, ``proc`` and ``sys`` are.
        environ: Variables that a deployment started from here would inherit.
        state: Folder of all deployments.
        cache: Our own folder for models and artefacts.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    state: Path = field(default_factory=state_root)
    cache: Path = field(default_factory=cache_folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What to look for.

    Attributes:
        spec: The defaults where none was given.
        given: Whether there is a spec that somebody wants deployed.
        deployment: What the spec comes to on this machine; None where it comes to nothing, or
            none was given.
        running: The deployments that are alive.
    """

    spec: Spec
    given: bool = False
    deployment: Deployment | None = None
    running: tuple[Neighbour, ...] = ()

    @property
    def own(self) -> Neighbour | None:
        """The deployment of the spec's name, where it runs."""
        return next((one for one in self.running if one.name == self.spec.name), None)

    @property
    def replicas(self) -> int:
        """Of the deployment; 1 where there is none."""
        return self.deployment.layout.replicas if self.deployment is not None else 1

    @property
    def slots(self) -> int:
        """Of all replicas together, as far as they are known."""
        return self.replicas * self.spec.layout.batch_size
