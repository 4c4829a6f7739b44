"""The vLLM engine: one OpenAI server of vLLM per replica, on CUDA devices or on CPU cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from replicore.engines.command import Command
from replicore.engines.engine import ReplicaPlan
from replicore.engines.known import VLLM
from replicore.engines.readiness import check_health, check_max_model_len, check_token
from replicore.engines.recipe import Recipe
from replicore.engines.vllm import launch, memory
from replicore.engines.vllm.compile_cache import compile_cache_recipe
from replicore.engines.vllm.formats import check_format
from replicore.engines.vllm.help_text import check_options
from replicore.engines.vllm.installation import Installation, installation
from replicore.engines.vllm.options import has_prefix_cache, is_eager, parse_options
from replicore.engines.vllm.split import split_problems
from replicore.errors import ConfigError
from replicore.files import cache_folder
from replicore.hardware.cpu import CpuHardware
from replicore.hardware.cuda import CudaHardware
from replicore.hardware.cuda_planned import planned_devices
from replicore.hardware.devices import find_device
from replicore.hardware.machine import Machine
from replicore.models.shape import ModelShape
from replicore.spec import EngineSpec, VllmSpec
from replicore.wording import quoted

_RUNS_ON = ("cuda", "cpu")


class Vllm:
    """vLLM of the environment that ``engine.python`` names.

    It runs on what the spec says, else on what the installed vLLM was built for; before
    :meth:`check` has looked at that, on CUDA devices where there are any.

    Args:
        cuda: Looks for devices; made from the spec where it is None.
        cache: Folder for what is found out about an environment; replicore's own for None.
        environ: For the search path that replicas have.
    """

    kind = "vllm"
    simulated = False

    def __init__(
        self,
        spec: EngineSpec,
        *,
        cuda: CudaHardware | None = None,
        cpu: CpuHardware | None = None,
        cache: Path | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._spec = spec
        self._options = parse_options(spec.args)
        _check_devices(spec.vllm)
        self._cuda = cuda or CudaHardware(
            memory_fraction=spec.vllm.memory_fraction, sharing=spec.vllm.replicas_per_device
        )
        self._cpu = cpu or CpuHardware()
        self._cache = cache
        self._environ = environ
        self._found: Installation | None = None
        self.traits = replace(VLLM, prefix_cache=has_prefix_cache(self._options))
        # vLLM measures the free memory of its device while it loads, which must not change then.
        self.starts_together = 1 if spec.vllm.replicas_per_device > 1 else None

    def check(self) -> None:
        found = installation(self._python, self._spec.env)
        self._check_platform(found)
        cache = self._cache or cache_folder()
        check_options(self._options, self._python, found, cache=cache, env=self._spec.env)
        self._found = found

    def _check_platform(self, found: Installation) -> None:
        wanted = self._spec.vllm.device
        if found.platform == "neuron":
            raise ConfigError(
                'engine.kind: the environment of engine.python has vLLM for Neuron, not for "vllm"',
                hint='engine.kind = "neuron" runs it',
            )
        if found.platform not in _RUNS_ON:
            raise ConfigError(
                f"engine.python: its vLLM is built for {found.platform}; replicore starts vLLM on "
                + " and ".join(_RUNS_ON)
            )
        if wanted not in ("auto", found.platform):
            raise ConfigError(
                f'engine.vllm.device: "{wanted}" is not what the vLLM of engine.python is built '
                f'for; use "{found.platform}" or "auto", or another environment'
            )

    def detect(self) -> Machine:
        vllm = self._spec.vllm
        if self._on_cpu:
            return self._cpu.detect()
        if vllm.devices is None:
            return self._cuda.detect()
        return planned_devices(
            vllm.devices,
            memory_fraction=vllm.memory_fraction,
            sharing=vllm.replicas_per_device,
            find=find_device,
        )

    def legal_tp(self, machine: Machine, shape: ModelShape) -> tuple[int, ...]:
        check_format(shape)
        cores = self._cores_per_rank
        if cores > len(machine.cores):
            raise ConfigError(
                f"engine.vllm.cores_per_rank: {cores} is more than the {len(machine.cores)} cores "
                "of this machine; use fewer"
            )
        most, legal = len(machine.cores) // cores, machine.legal_tp
        possible = (ranks for ranks in range(1, most + 1) if legal is None or ranks in legal)
        return tuple(ranks * cores for ranks in possible if not split_problems(shape, ranks))

    def memory_bytes(
        self, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
    ) -> int:
        vllm, ranks = self._spec.vllm, tp // self._cores_per_rank
        if self._on_cpu:
            return memory.cpu_memory_bytes(
                shape,
                self._options,
                ranks=ranks,
                dtype=vllm.dtype,
                max_model_len=max_model_len,
                kv_cache=vllm.cpu_kv_cache,
            )
        return memory.device_memory_bytes(
            shape,
            self._options,
            ranks=ranks,
            dtype=vllm.dtype,
            batch_size=batch_size,
            max_model_len=max_model_len,
        )

    def recipe(self, replica: ReplicaPlan, machine: Machine) -> Recipe | None:
        """The compile cache, which a replica fills while it starts; nothing where all is eager."""
        if is_eager(self._options):
            return None
        return compile_cache_recipe(replica, machine, self._spec, self._found)

    def command(self, replica: ReplicaPlan) -> Command:
        variables = launch.environment(replica, self._options) | self._device_environment(replica)
        variables |= self._search_path(replica) | self._spec.env
        return Command(
            argv=(self._python, "-m", launch.MODULE, *self._arguments(replica)),
            env=variables,
            unset=tuple(name for name in launch.LEAKED if name not in variables),
            affinity=replica.cores if self._on_cpu else None,
            segments=launch.segments(self._options),
        )

    def _arguments(self, replica: ReplicaPlan) -> tuple[str, ...]:
        vllm = self._spec.vllm
        fraction = launch.fraction_of_one(vllm.memory_fraction, vllm.replicas_per_device)
        planned = launch.arguments(
            replica,
            ranks=replica.tp // self._cores_per_rank,
            dtype=vllm.dtype,
            memory_fraction=None if self._on_cpu else fraction,
        )
        release = self._found.release if self._found else None
        return planned + launch.default_arguments(release, self._options) + self._spec.args

    def _search_path(self, replica: ReplicaPlan) -> dict[str, str]:
        """Return the ``PATH`` of an environment that is activated.

        Kernels are compiled with programs that are next to the interpreter, such as ninja. A plan
        without a folder is not started, so it needs none.
        """
        python = self._spec.python
        if python is None or not python.is_absolute() or replica.folder is None:
            return {}
        return {
            "PATH": os.pathsep.join([str(python.parent), self._environ.get("PATH", os.defpath)])
        }

    def _device_environment(self, replica: ReplicaPlan) -> dict[str, str]:
        if not self._on_cpu:
            return launch.device_environment(self._cuda.identifiers(replica.cores))
        return launch.cpu_environment(
            replica.cores,
            ranks=replica.tp // self._cores_per_rank,
            kv_cache=self._spec.vllm.cpu_kv_cache,
        )

    async def check_ready(self, replica: ReplicaPlan) -> None:
        await check_health(replica)
        await check_max_model_len(replica)
        await check_token(replica)

    @property
    def _python(self) -> str:
        return str(self._spec.python or sys.executable)

    @property
    def _cores_per_rank(self) -> int:
        """A device is a rank; CPU cores are a rank's threads."""
        return self._spec.vllm.cores_per_rank if self._on_cpu else 1

    @property
    def _on_cpu(self) -> bool:
        if self._spec.vllm.device != "auto":
            return self._spec.vllm.device == "cpu"
        if self._spec.vllm.devices is not None:
            return False
        if self._found is not None:
            return self._found.platform == "cpu"
        return not self._cuda.is_there


def _check_devices(spec: VllmSpec) -> None:
    if spec.device == "cpu" and spec.devices is not None:
        raise ConfigError(
            f"engine.vllm.devices: {quoted(spec.devices)} are CUDA devices, and "
            'engine.vllm.device is "cpu"; unset one of them'
        )
