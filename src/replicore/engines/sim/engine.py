"""The ``sim`` engine: one simulator per replica, on pretend cores."""

from __future__ import annotations

import os
import sys

from replicore.engines.command import Command
from replicore.engines.engine import EngineTraits, ReplicaPlan
from replicore.engines.readiness import (
    check_health,
    check_max_model_len,
    check_planned,
    check_token,
)
from replicore.engines.sim.faults import parse_faults
from replicore.engines.sim.options import parse_options
from replicore.engines.sim.profiles import PROFILES, Profile, replica_bytes
from replicore.engines.sim.shapes import shape_text
from replicore.errors import ConfigError
from replicore.hardware.machine import Machine
from replicore.hardware.simulated import SimulatedHardware
from replicore.models.shape import ModelShape
from replicore.spec import EngineSpec

# Resident size of the process, rounded up; the simulated model itself takes no memory.
PROCESS_BYTES = 64 * 2**20

# Set by the plan, so not to be set again by engine.args; and where it is set.
_LAYOUT = ("--host", "--port", "--reuse-port", "--model", "--slots", "--max-model-len", "--tp")
_PLANNED = dict.fromkeys(_LAYOUT, "[layout]") | {
    "--profile": "engine.sim.profile",
    "--shape": "model.source",
}


class SimEngine:
    """Starts ``python -m replicore.engines.sim`` with the rates and faults of ``[engine.sim]``."""

    kind = "sim"
    simulated = True
    starts_together: int | None = None

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._profile: Profile | None = PROFILES.get(spec.sim.profile or "")
        self.traits = EngineTraits(token_ids=True, prefix_cache=self._has_prefix_cache())

    def check(self) -> None:
        try:
            parse_faults(self._spec.sim.faults)
        except ConfigError as error:
            raise ConfigError(f"engine.sim.faults: {error.message}") from error
        for argument in self._spec.args:
            name = argument.partition("=")[0]
            if name in _PLANNED:
                raise ConfigError(f"engine.args: {name} is set by replicore, from {_PLANNED[name]}")
        try:
            parse_options(self._spec.args)
        except ConfigError as error:
            raise ConfigError(f"engine.args: {error.message}") from error
        try:
            parse_options([*self._speed(), *self._spec.args])
        except ConfigError as error:
            raise ConfigError(f"engine.sim: {error.message}") from error

    def detect(self) -> Machine:
        profile, cores = self._profile, self._spec.sim.cores
        if profile is None:
            return SimulatedHardware(cores or len(os.sched_getaffinity(0))).detect()
        return SimulatedHardware(
            cores or profile.cores or len(os.sched_getaffinity(0)),
            device=self._spec.sim.profile or "",
            core_memory_bytes=profile.memory_bytes,
            legal_tp=profile.legal_tp,
            aligned=profile.aligned,
        ).detect()

    def legal_tp(self, machine: Machine, shape: ModelShape) -> tuple[int, ...]:
        cores = len(machine.cores)
        powers = tuple(1 << power for power in range(cores.bit_length()))
        if self._profile is None:
            return powers
        degrees = machine.legal_tp or powers
        return tuple(tp for tp in degrees if tp <= cores and shape.heads % tp == 0)

    def memory_bytes(
        self, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
    ) -> int:
        if self._profile is None:
            return PROCESS_BYTES
        return replica_bytes(
            self._profile, shape, tp=tp, batch_size=batch_size, max_model_len=max_model_len
        )

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
        faults = tuple(f"--fault={fault}" for fault in sim.faults)
        argv = (
            *program,
            *planned,
            *self._device(replica),
            *self._speed(),
            *faults,
            *self._spec.args,
        )
        return Command(argv=argv, env=self._spec.env)

    def _device(self, replica: ReplicaPlan) -> tuple[str, ...]:
        """Return what the profile is asked about; empty without one."""
        if self._profile is None:
            return ()
        return (f"--tp={replica.tp}", f"--shape={shape_text(replica.model.shape)}")

    def _speed(self) -> tuple[str, ...]:
        """Return the options that ``[engine.sim]`` sets."""
        sim = self._spec.sim
        given = {
            "--profile": sim.profile,
            "--prefill-tokens-per-s": sim.prefill_tokens_per_s,
            "--prefill-slope": sim.prefill_slope,
            "--decode-tokens-per-s": sim.decode_tokens_per_s,
            "--decode-batch-slope": sim.decode_batch_slope,
            "--decode-context-slope": sim.decode_context_slope,
            "--batching": sim.batching,
            "--kv-tokens": sim.kv_tokens,
            "--speed": sim.speed,
        }
        cache = "--prefix-cache" if sim.prefix_cache else "--no-prefix-cache"
        return (*(f"{flag}={value}" for flag, value in given.items() if value is not None), cache)

    def _has_prefix_cache(self) -> bool:
        sim = self._spec.sim
        batching = sim.batching or (self._profile.batching if self._profile else None)
        return sim.prefix_cache and batching != "static"

    async def check_ready(self, replica: ReplicaPlan) -> None:
        await check_health(replica)
        card = await check_max_model_len(replica)
        check_planned(replica, "layout.batch_size", replica.batch_size, card.slots)
        await check_token(replica)
