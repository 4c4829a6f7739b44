"""Deployments of fake engines, and how to wait for what becomes of them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from replicore.cores import CoreRange
from replicore.deploy.deployment import Deployment
from replicore.deploy.layout import Layout
from replicore.deploy.status import UnitStatus
from replicore.engines.command import Command
from replicore.engines.engine import EngineTraits, ReplicaPlan
from replicore.errors import ReplicaStartError, UpstreamError
from replicore.hardware.machine import Machine, NumaNode
from replicore.http.fetch import fetch
from replicore.models.shape import Model, ModelShape
from replicore.spec import load_spec

FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")

DEADLINE_S = 60.0
_POLL_S = 0.02

_SHAPE = ModelShape(
    architecture="fake",
    layers=1,
    hidden=1,
    heads=1,
    kv_heads=1,
    head_dim=1,
    vocab=1,
    max_model_len=64,
    weight_bytes=1,
)

_FAST = {
    "gateway.port": "0",
    "supervisor.backoff_initial": "10ms",
    "supervisor.stop_grace": "5s",
    "supervisor.probe_interval": "50ms",
}


class FakeEngine:
    """Runs ``fake_engine.py``; ``faults`` are its options, the same for every replica."""

    kind = "fake"
    simulated = True
    traits = EngineTraits()
    starts_together: int | None = None

    def __init__(self, *faults: str, program: str = sys.executable, refuse: bool = False) -> None:
        self._faults = faults
        self._program = program
        self._refuse = refuse

    def check(self) -> None:
        pass

    def detect(self) -> Machine:
        return machine()

    def legal_tp(self, machine: Machine, shape: ModelShape) -> tuple[int, ...]:
        return (1,)

    def memory_bytes(
        self, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
    ) -> int:
        return 1

    def recipe(self, replica: ReplicaPlan, machine: Machine) -> None:
        return None

    def command(self, replica: ReplicaPlan) -> Command:
        script = (str(FAKE_ENGINE), f"--port={replica.port}", *self._faults)
        return Command(argv=(self._program, "-S", *script))

    async def check_ready(self, replica: ReplicaPlan) -> None:
        reply = await fetch(replica.endpoint, "GET", "/health", timeout=5)
        if reply.status != 200:
            raise UpstreamError("not yet")
        if self._refuse:
            raise ReplicaStartError(f"{replica.name} serves another model")


def machine(kind: str = "sim") -> Machine:
    cores = CoreRange.parse("0-7")
    return Machine(
        kind=kind,
        name="pretend",
        cores=cores,
        core_limit=8,
        numa=(NumaNode(index=0, cores=cores),),
        memory_bytes=2**40,
    )


def deployment(
    engine: FakeEngine | None = None,
    *,
    name: str = "test",
    replicas: int = 2,
    kind: str = "sim",
    **overrides: str,
) -> Deployment:
    """Return a deployment; overrides are keys of the spec with ``__`` for the dot."""
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    ranges = tuple(CoreRange.of([core]) for core in range(replicas))
    return Deployment(
        name=name,
        spec=load_spec(None, environ={}, overrides={**_FAST, "name": name, **keys}),
        engine=engine or FakeEngine(),
        machine=machine(kind),
        model=Model(source="fake", served_name="fake", path=Path("/fake"), shape=_SHAPE),
        layout=Layout(ranges=ranges, batch_size=1, max_model_len=64, reason="as the test says"),
    )


async def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(_POLL_S)


def wait_until(condition: Callable[[], object], *, within_s: float = DEADLINE_S) -> bool:
    """Return whether the condition came to hold in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def pid_of(unit: UnitStatus) -> int:
    """Return the pid of what runs."""
    if unit.pid is None:
        raise AssertionError(f"{unit.name} does not run")
    return unit.pid


def keeper_of(unit: UnitStatus) -> int:
    """Return the pid of its keeper."""
    if unit.keeper_pid is None:
        raise AssertionError(f"{unit.name} does not run")
    return unit.keeper_pid


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def signal_and_wait(pid: int, number: int) -> None:
    os.kill(pid, number)
    assert wait_until(lambda: not is_alive(pid))
