"""The llama.cpp engine: one ``llamacpp_server.py`` per replica, on CPU cores."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

import msgspec

from replicore.engines.command import Command
from replicore.engines.engine import ReplicaPlan
from replicore.engines.known import LLAMACPP
from replicore.engines.llamacpp_memory import replica_memory_bytes
from replicore.engines.llamacpp_options import (
    MAX_SLOTS,
    MAX_THREADS,
    PROGRAM,
    assignments,
    context_per_slot,
    parse_options,
    replica_options,
)
from replicore.engines.readiness import (
    ask,
    check_health,
    check_planned,
    check_served_name,
    check_token,
)
from replicore.errors import ConfigError, InfeasiblePlan
from replicore.hardware.cpu import CpuHardware
from replicore.hardware.machine import Machine
from replicore.models.shape import ModelShape
from replicore.spec import EngineSpec
from replicore.wording import quoted

CHECK_TIMEOUT_S = 60.0


class _GenerationSettings(msgspec.Struct):
    n_ctx: int


class _Props(msgspec.Struct):
    total_slots: int
    default_generation_settings: _GenerationSettings


class LlamaCpp:
    """llama.cpp through the package ``xllamacpp``.

    Args:
        find_package: Returns None where this interpreter does not have a package.
    """

    kind = "llamacpp"
    simulated = False
    traits = LLAMACPP
    starts_together: int | None = None

    def __init__(
        self,
        spec: EngineSpec,
        *,
        find_package: Callable[[str], object | None] = importlib.util.find_spec,
    ) -> None:
        self._find_package = find_package
        self._python = spec.python
        self._args = spec.args
        self._env = {
            # the program's folder is not a place to import from: it has our vllm.py
            "PYTHONSAFEPATH": "1",
            # a failed assertion of llama.cpp starts gdb on itself before it aborts
            "GGML_NO_BACKTRACE": "1",
            **spec.env,
        }

    def check(self) -> None:
        options = parse_options(self._args)
        if self._python is None and self._find_package("xllamacpp") is None:
            _not_installed('engine.kind: "llamacpp" needs the package xllamacpp')
        if options or self._python is not None:
            self._try(options)

    def _try(self, options: Mapping[str, str]) -> None:
        """Let the program check its options: only xllamacpp knows them and their types.

        A process takes 0.1 s. Importing xllamacpp here takes 0.05 s, but would leave 15 MB and an
        OpenMP runtime in the supervisor, and could not speak for another interpreter.
        """
        argv = [self._interpreter, str(PROGRAM), "--check", *assignments(options)]
        env = os.environ | self._env
        try:
            done = subprocess.run(
                argv, env=env, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"engine.python: {quoted(argv[0])} cannot run: {error}") from error
        last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        if done.returncode == 2:
            raise ConfigError(f"engine.args: {last_line}")
        if done.returncode != 0:
            _not_installed(f"engine.python: {quoted(argv[0])} cannot run llama.cpp: {last_line}")

    def detect(self) -> Machine:
        return CpuHardware().detect()

    def legal_tp(self, machine: Machine, shape: ModelShape) -> tuple[int, ...]:
        """Any number of cores: they are threads over the rows of a matrix, not over heads."""
        # Refused here, and too many slots in memory_bytes: this is what a layout is chosen from,
        # so it is asked before cores are claimed and processes start. llama.cpp itself refuses
        # only after that.
        if shape.file_format != "gguf":
            raise ConfigError(
                "model.source: the model is not a GGUF file, and llama.cpp reads no other",
                hint="many models have a repository of GGUF files",
            )
        return tuple(range(1, min(len(machine.cores), MAX_THREADS) + 1))

    def memory_bytes(
        self, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
    ) -> int:
        if batch_size > MAX_SLOTS:
            raise InfeasiblePlan(
                f"layout.batch_size: {batch_size} slots are too many for llama.cpp, which has at"
                f" most {MAX_SLOTS}; use more replicas"
            )
        return replica_memory_bytes(
            shape,
            tp=tp,
            batch_size=batch_size,
            max_model_len=max_model_len,
            options=parse_options(self._args),
        )

    def recipe(self, replica: ReplicaPlan, machine: Machine) -> None:
        """Nothing is made: the file is loaded as it is."""

    def command(self, replica: ReplicaPlan) -> Command:
        options = replica_options(replica, self._args)
        return Command(
            argv=(self._interpreter, str(PROGRAM), *assignments(options)),
            env={"OMP_NUM_THREADS": str(replica.tp), **self._env},
            affinity=replica.cores,
        )

    async def check_ready(self, replica: ReplicaPlan) -> None:
        await check_health(replica)
        await check_served_name(replica)
        props = await ask(replica, "/props", _Props)
        check_planned(replica, "layout.batch_size", replica.batch_size, props.total_slots)
        planned = context_per_slot(replica.max_model_len)
        found = props.default_generation_settings.n_ctx
        check_planned(replica, "layout.max_model_len", planned, found)
        await check_token(replica)

    @property
    def _interpreter(self) -> str:
        return str(self._python or sys.executable)


def _not_installed(message: str) -> NoReturn:
    raise ConfigError(message, hint='pip install "replicore[local]"')
