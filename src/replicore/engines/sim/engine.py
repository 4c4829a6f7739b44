"""The ``sim`` engine: one simulator per replica, on pretend cores."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from replicore.engines.command import Command
from replicore.engines.engine import EngineTraits, ReplicaPlan
from replicore.engines.readiness import (
    ask,
    check_health,
    check_planned,
    check_served_name,
    check_token,
)
from replicore.engines.sim.faults import parse_faults
from replicore.engines.sim.options import parse_options
from replicore.engines.sim.tokenizer import VOCABULARY
from replicore.errors import ConfigError, UpstreamError
from replicore.hardware.machine import Machine
from replicore.hardware.simulated import SimulatedHardware
from replicore.models.shape import Model, ModelShape
from replicore.openai import ModelList
from replicore.spec import EngineSpec, ModelSpec

# Resident size of the process, rounded up; the simulated model itself takes no memory.
PROCESS_BYTES = 64 * 2**20

# Set by the plan, so not to be set again by engine.args.
_PLANNED = ("--host", "--port", "--reuse-port", "--model", "--slots", "--max-model-len")

# No weights. Enough heads for any tp; the longest sequence is no more than a default.
_SHAPE = ModelShape(
    architecture="simulated",
    layers=1,
    hidden=64,
    heads=64,
    kv_heads=64,
    head_dim=1,
    vocab=VOCABULARY,
    max_model_len=1_048_576,
    weight_bytes=0,
)


def simulated_model(spec: ModelSpec) -> Model:
    """Return what stands in for the model: the simulator needs no files."""
    return Model(
        source="simulated",
        served_name=spec.served_name or "simulated",
        path=Path(os.devnull),
        shape=_SHAPE,
    )


class SimEngine:
    """Starts ``python -m replicore.engines.sim`` with the rates and faults of ``[engine.sim]``."""

    kind = "sim"
    simulated = True
    starts_together: int | None = None

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self.traits = EngineTraits(token_ids=True, prefix_cache=spec.sim.prefix_cache)

    def check(self) -> None:
        try:
            parse_faults(self._spec.sim.faults)
        except ConfigError as error:
            raise ConfigError(f"engine.sim.faults: {error.message}") from error
        for argument in self._spec.args:
            name = argument.partition("=")[0]
            if name in _PLANNED:
                raise ConfigError(f"engine.args: {name} is set by replicore, from [layout]")
        try:
            parse_options(self._spec.args)
        except ConfigError as error:
            raise ConfigError(f"engine.args: {error.message}") from error

    def detect(self) -> Machine:
        cores = self._spec.sim.cores or len(os.sched_getaffinity(0))
        return SimulatedHardware(cores).detect()

    def legal_tp(self, machine: Machine, shape: ModelShape) -> tuple[int, ...]:
        powers = range(len(machine.cores).bit_length())
        return tuple(1 << power for power in powers)

    def memory_bytes(
        self, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
    ) -> int:
        return PROCESS_BYTES

    def recipe(self, replica: ReplicaPlan, machine: Machine) -> None:
        return None

    def command(self, replica: ReplicaPlan) -> Command:
        sim = self._spec.sim
        # -P: a file in the user's working directory must not stand in for a module of ours.
        python = str(self._spec.python or sys.executable)
        program = (python, "-P", "-m", "replicore.engines.sim")
        planned = (
            f"--host={replica.host}",
            f"--port={replica.port}",
            "--reuse-port",
            f"--model={replica.model.served_name}",
            f"--slots={replica.batch_size}",
            f"--max-model-len={replica.max_model_len}",
        )
        rates = (
            f"--prefill-tokens-per-s={sim.prefill_tokens_per_s}",
            f"--decode-tokens-per-s={sim.decode_tokens_per_s}",
            f"--decode-batch-slope={sim.decode_batch_slope}",
            "--prefix-cache" if sim.prefix_cache else "--no-prefix-cache",
        )
        faults = tuple(f"--fault={fault}" for fault in sim.faults)
        argv = (*program, *planned, *rates, *faults, *self._spec.args)
        return Command(argv=argv, env=self._spec.env)

    async def check_ready(self, replica: ReplicaPlan) -> None:
        await check_health(replica)
        await check_served_name(replica)
        cards = (await ask(replica, "/v1/models", ModelList)).data
        if len(cards) != 1:
            raise UpstreamError(f"{replica.name} lists {len(cards)} models, not one")
        check_planned(replica, "layout.batch_size", replica.batch_size, cards[0].slots)
        found = cards[0].max_model_len
        check_planned(replica, "layout.max_model_len", replica.max_model_len, found)
        await check_token(replica)
