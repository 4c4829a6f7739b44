"""A fake engine that loads what is compiled for it, and deployments of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from replicore.deploy.deployment import Deployment
from replicore.engines.command import Command
from replicore.engines.engine import ReplicaPlan
from replicore.engines.recipe import Recipe, Stage
from replicore.hardware.machine import Machine
from tests.integration.deploy.deployments import FakeEngine, deployment

PROGRAM = Path(__file__).with_name("fake_inference_demo.py")
OUTPUTS = ("model.pt", "neuron_config.json", "weights/tp*_sharded_checkpoint.safetensors")

COMPILED = Recipe(
    fields={"model.source": "fake", "layout.tp": 1, "layout.batch_size": 4},
    required=True,
    outputs=OUTPUTS,
    stages=(
        Stage(pattern="Generating HLOs", label="tracing"),
        Stage(pattern="Sharding weights", label="sharding"),
    ),
    flaky=("tp_barrier",),
)
CACHE = Recipe(fields={"model.source": "fake", "layout.tp": 1}, required=False)


class CompiledEngine(FakeEngine):
    """Starts the fake engine; compiles with the fake ``inference_demo``.

    Attributes:
        given: The artefact of every command that it was asked for.
    """

    def __init__(self, recipe: Recipe | None, *faults: str) -> None:
        super().__init__(*faults)
        self.given: list[Path | None] = []
        self._recipe = recipe

    def recipe(self, replica: ReplicaPlan, machine: Machine) -> Recipe | None:  # type: ignore[override]
        return self._recipe

    def command(self, replica: ReplicaPlan) -> Command:
        self.given.append(replica.artefact)
        return super().command(replica)


def compiled(fault: str = "", *, mark: Path | None = None, timeout_s: float = 60.0) -> Recipe:
    """Return the recipe that the fake compiles, with something that goes wrong."""

    def command(artefact: Path, work: Path) -> Command:
        argv = (sys.executable, "-S", str(PROGRAM), f"--compiled-model-path={artefact}")
        faults = (f"--fault={fault}", *(() if mark is None else (f"--mark={mark}",)))
        env = {"BASE_COMPILE_WORK_DIR": str(work)}
        return Command(argv=(*argv, "--tp-degree=2", *faults), env=env)

    return replace(COMPILED, command=command, timeout_s=timeout_s)


def with_store(root: Path, engine: FakeEngine, *, name: str = "test") -> Deployment:
    """Return a deployment whose artefacts are below ``root``."""
    return deployment(engine, name=name, engine__neuron__artefacts=str(root))


@dataclass
class Told:
    """What a compile told."""

    stages: list[tuple[str, int, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    holders: list[str] = field(default_factory=list)

    def waiting(self, holders: str) -> None:
        self.holders.append(holders)

    def stage(self, label: str, number: int, total: int) -> None:
        self.stages.append((label, number, total))

    def line(self, text: str) -> None:
        self.lines.append(text)

    def again(self, problem: str) -> None:
        self.failures.append(problem)
