"""vLLM on AWS Trainium and Inferentia: one server per replica, on a range of logical cores."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from replicore.engines.command import Command
from replicore.engines.engine import EngineTraits, ReplicaPlan
from replicore.engines.neuron import fields, recipes
from replicore.engines.neuron.arguments import check_config, parse_arguments
from replicore.engines.neuron.demo_flags import UNASKED
from replicore.engines.neuron.demo_help import ask_flags
from replicore.engines.neuron.generation import Generation, GenerationName
from replicore.engines.neuron.inference_demo import PROGRAM, CompileJob
from replicore.engines.neuron.installed import GENERATIONS, Installed, installed_in
from replicore.engines.neuron.memory import replica_memory_bytes
from replicore.engines.neuron.runtime_env import LEAKED, serving_environment
from replicore.engines.readiness import check_health, check_max_model_len, check_token
from replicore.engines.recipe import Recipe, Value
from replicore.engines.vllm import launch
from replicore.engines.vllm.formats import check_format
from replicore.engines.vllm.help_text import check_options
from replicore.engines.vllm.installation import Installation
from replicore.errors import ConfigError
from replicore.files import cache_folder
from replicore.hardware.machine import Machine
from replicore.hardware.neuron.detect import NeuronHardware
from replicore.hardware.neuron.node import Node
from replicore.hardware.neuron.view import machine_of
from replicore.models.fingerprint import fingerprint
from replicore.models.shape import ModelShape
from replicore.spec import EngineSpec
from replicore.wording import listed, quoted

# Of a plan or a script that is made where the environment is not: the AWS tutorial's
DEFAULT_GENERATION: GenerationName = "fork"

# Written last, so that its folder is whole (artefacts/manifest.py)
_MANIFEST = "manifest.json"

_CACHE_MISS_IS_FATAL = "VLLM_NEURON_DISABLE_WARMUP_COMPILE"


class Neuron:
    """One of the generations of vLLM on Neuron: what :meth:`check` finds installed.

    Before that it is what the spec says, else the AWS tutorial's.

    Args:
        hardware: Looks for devices; made from the spec where it is None.
        cache: Folder for what is found out about an environment; replicore's own for None.
    """

    kind = "neuron"
    simulated = False
    traits: EngineTraits
    starts_together: int | None

    def __init__(
        self,
        spec: EngineSpec,
        *,
        hardware: NeuronHardware | None = None,
        cache: Path | None = None,
    ) -> None:
        self._spec = spec
        self._neuron = spec.neuron
        self._options = parse_arguments(spec.args)
        check_config(spec.neuron.config)
        self._hardware = hardware or NeuronHardware(spec.neuron.instance, lnc=spec.neuron.lnc)
        self._cache = cache
        self._node: Node | None = None
        self._installed: Installed | None = None
        chosen = spec.neuron.generation
        self._become(GENERATIONS[DEFAULT_GENERATION if chosen == "auto" else chosen])

    def _become(self, generation: Generation) -> None:
        self.generation = generation
        self.traits = generation.traits
        if "--enable-prefix-caching" in self._options:
            self.traits = replace(self.traits, prefix_cache=True)
        if "--no-enable-prefix-caching" in self._options:
            self.traits = replace(self.traits, prefix_cache=False)
        # Those that read all weights to shard them, and those that look for compiled parts in
        # one cache, disturb each other when they start at once.
        ready_made = generation.compiles_ahead and self._neuron.shard_weights
        self.starts_together = None if ready_made else 1

    def check(self) -> None:
        found = installed_in(self._python, self._spec.env)
        generation = self._checked_generation(found)
        vllm = Installation(version=found.versions["vllm"], platform=self.kind)
        cache = self._cache or cache_folder()
        check_options(self._options, self._python, vllm, cache=cache, env=self._spec.env)
        self._installed = found
        self._become(generation)

    def _checked_generation(self, found: Installed) -> Generation:
        wanted = self._neuron.generation
        if found.generation is None:
            raise ConfigError(
                f"engine.python: the environment of {quoted(self._python)} has no vLLM for Neuron",
                hint="it has AWS's fork of vLLM, or the package vllm-neuron",
            )
        if wanted not in ("auto", found.generation.name):
            raise ConfigError(
                f'engine.neuron.generation: "{wanted}" is not what engine.python has installed; '
                f'use "{found.generation.name}" or "auto", or another environment'
            )
        return found.generation

    def detect(self) -> Machine:
        self._node = self._hardware.inspect()
        return machine_of(self._node)

    def legal_tp(self, machine: Machine, shape: ModelShape) -> tuple[int, ...]:
        """Degrees of the device at which each core has as many attention heads.

        Source: SDK libraries/nxd-inference/developer_guides/feature-guide.rst. NxD Inference itself
        pads the heads instead, and only warns.
        """
        check_format(shape)
        platform = self._looked_at.chip.platform
        if platform not in self.generation.platforms:
            raise ConfigError(
                f'engine.neuron.generation: "{self.generation.name}" does not run on {platform} '
                f"(it does on: {', '.join(sorted(self.generation.platforms))}); these run on "
                f"{platform}: {listed(_generations_on(platform))}"
            )
        degrees = machine.legal_tp or range(1, len(machine.cores) + 1)
        return tuple(tp for tp in degrees if shape.heads % tp == 0)

    def memory_bytes(
        self, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
    ) -> int:
        return replica_memory_bytes(
            shape,
            self._neuron,
            tp=tp,
            lnc=self._looked_at.lnc,
            batch_size=batch_size,
            max_model_len=max_model_len,
            paged=not self.generation.compiles_ahead,
        )

    def recipe(self, replica: ReplicaPlan, machine: Machine) -> Recipe:
        neuron = self._neuron
        common = self._common_fields(replica)
        if not self.generation.compiles_ahead:
            cache = fields.compile_cache_fields(self._spec)
            return recipes.compile_cache(common | cache, timeout_s=neuron.compile_timeout)

        def command(artefact: Path, work: Path) -> Command:
            return self.compile_command(replica, artefact=artefact, work=work)

        return recipes.compiled_model(
            common | fields.compiled_model_fields(replica, neuron),
            command,
            sharded_ranks=replica.tp if neuron.shard_weights else 0,
            timeout_s=neuron.compile_timeout,
        )

    def _common_fields(self, replica: ReplicaPlan) -> dict[str, Value]:
        versions: dict[str, str] = {}
        if self._installed is not None:
            compilers = (name for name in self._installed.versions if name != "vllm")
            versions = {name: self._installed.versions[name] for name in compilers}
            versions["python"] = self._installed.python
        return fields.common_fields(
            replica,
            self._spec,
            lnc=self._looked_at.lnc,
            platform=self._looked_at.chip.platform,
            content=fingerprint(replica.model),
            versions=versions,
        )

    def compile_command(self, replica: ReplicaPlan, *, artefact: Path, work: Path) -> Command:
        """Return the process that compiles the model into ``artefact``.

        Once :meth:`check` has found the environment, ``inference_demo`` there is asked for its
        flags; before, they are those of releases since SDK 2.23.

        Raises:
            ConfigError: It is not there, or has no flag for what the spec asks.
        """
        program = Path(shutil.which(self._python) or self._python).with_name(PROGRAM)
        flags = UNASKED if self._installed is None else ask_flags(program, self._spec.env)
        job = CompileJob(
            program=program,
            replica=replica,
            spec=self._neuron,
            lnc=self._looked_at.lnc,
            env=self._spec.env,
        )
        return job.command(artefact, work, flags)

    def command(self, replica: ReplicaPlan) -> Command:
        variables = self._environment(replica)
        return Command(
            argv=(self._python, "-m", launch.MODULE, *self._arguments(replica)),
            env=variables,
            unset=tuple(name for name in (*launch.LEAKED, *LEAKED) if name not in variables),
            segments=launch.segments(self._options),
        )

    def _arguments(self, replica: ReplicaPlan) -> tuple[str, ...]:
        return (
            *launch.arguments(replica, ranks=replica.tp),
            *self.generation.options(self._neuron, self._options),
            *self._spec.args,
        )

    def _environment(self, replica: ReplicaPlan) -> dict[str, str]:
        # A compiled model's folder is read only; a cache is for all that vLLM compiles.
        shared = None if self.generation.compiles_ahead else replica.artefact
        variables = launch.environment(replace(replica, artefact=shared), self._options)
        variables |= serving_environment(replica, lnc=self._looked_at.lnc, cpus=self._cpus)
        variables |= self.generation.environment(replica, self._neuron)
        # The first replica may compile what is missing; the others then find it.
        if replica.index > 0 and shared is not None and (shared / _MANIFEST).is_file():
            variables[_CACHE_MISS_IS_FATAL] = "1"
        return variables | self._spec.env

    async def check_ready(self, replica: ReplicaPlan) -> None:
        await check_health(replica)
        await check_max_model_len(replica)
        await check_token(replica)

    @property
    def _python(self) -> str:
        return str(self._spec.python or sys.executable)

    @property
    def _looked_at(self) -> Node:
        if self._node is None:
            self._node = self._hardware.inspect()
        return self._node

    @property
    def _cpus(self) -> int:
        """CPUs of the machine that is planned for."""
        node = self._looked_at
        if node.found_by == "catalogue" and node.instance and node.instance.vcpus:
            return node.instance.vcpus
        return len(os.sched_getaffinity(0))


def _generations_on(platform: str) -> list[str]:
    return [g.name for g in GENERATIONS.values() if platform in g.platforms]
