"""The command that compiles a model for NxD Inference. Pure.

Source: NxD Inference ``inference_demo.py``; the AWS tutorial's ``compile_model.sh``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replicore.engines.command import Command
from replicore.engines.engine import ReplicaPlan
from replicore.engines.neuron.demo_flags import DemoFlags
from replicore.engines.neuron.memory import compiled_prompt
from replicore.engines.neuron.runtime_env import LEAKED, core_environment
from replicore.engines.vllm.launch import LEAKED as LEAKED_OF_GROUPS
from replicore.errors import ConfigError
from replicore.spec.tables import NeuronSpec
from replicore.wording import listed, quoted

PROGRAM = "inference_demo"

# As its --model-type has them, by what config.json calls them
MODEL_TYPES = {
    "llama": "llama",
    "mistral": "mistral",
    "mixtral": "mixtral",
    "dbrx": "dbrx",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "qwen3_moe": "qwen3_moe",
    "gemma3": "gemma3",
    "gemma3_text": "gemma3",
}

# Required, and not used when only compiling
_PROMPT = "What is annapurna labs?"

# The spec's key that an option is set by, and the option with its values
Option = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileJob:
    """A model to compile.

    Attributes:
        program: Path of ``inference_demo``.
        env: The spec's own variables.
    """

    program: Path
    replica: ReplicaPlan
    spec: NeuronSpec
    lnc: int
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self, artefact: Path, work: Path, flags: DemoFlags) -> Command:
        """Return the process that compiles into ``artefact``.

        Args:
            work: A folder of its own: the compiler deletes what is in it, first of all.

        Raises:
            ConfigError: The installed version has no flag for what the spec asks.
        """
        options = list(self._options(artefact, flags))
        for key, words in options:
            flags.check(key, words[0])
        _check_passed_through(self.spec, options, flags)
        environment = {**self._environment(work), **self.env}
        return Command(
            argv=(
                str(self.program),
                *("--model-type", model_type(self.replica, self.spec)),
                *("--task-type", "causal-lm"),
                "run",
                *(word for _, words in options for word in words),
                *self.spec.compile_args,
                *("--compile-only", "--prompt", _PROMPT),
            ),
            env=environment,
            unset=tuple(n for n in (*LEAKED_OF_GROUPS, *LEAKED) if n not in environment),
        )

    def _environment(self, work: Path) -> dict[str, str]:
        return {
            **core_environment(self.lnc),
            "NEURON_RT_NUM_CORES": str(self.replica.tp),
            "NEURON_RT_EXEC_TIMEOUT": "600",
            "XLA_DENSE_GATHER_FACTOR": "0",
            "BASE_COMPILE_WORK_DIR": str(work),
        }

    def _options(self, artefact: Path, flags: DemoFlags) -> Iterator[Option]:
        tp = str(self.replica.tp)
        yield "model.source", ("--model-path", str(self.replica.model.path))
        yield "engine.neuron.artefacts", ("--compiled-model-path", str(artefact))
        yield "engine.neuron.dtype", ("--torch-dtype", self.spec.dtype)
        # A compiled model is the same for all ranges of cores: ranks are counted from 0.
        yield "layout.tp", ("--start_rank_id", "0")
        yield "layout.tp", ("--local_ranks_size", tp)
        yield "layout.tp", ("--tp-degree", tp)
        yield from self._sizes()
        yield from _sampling(self.spec)
        yield from _attention(self.spec)
        yield from _buckets(self.spec)
        if self.spec.pad_token_id is not None:
            yield "engine.neuron.pad_token_id", ("--pad-token-id", str(self.spec.pad_token_id))
        yield from _renamed(self.spec, self.lnc, flags)

    def _sizes(self) -> Iterator[Option]:
        slots, length = self.replica.batch_size, self.replica.max_model_len
        yield "layout.batch_size", ("--batch-size", str(slots))
        if continuous_batching(slots):
            # As vLLM does when it compiles. Otherwise each prompt is written to the KV cache of
            # all slots, over the sequences that they work on (NxD Inference kv_cache_manager.py).
            yield "layout.batch_size", ("--is-continuous-batching",)
            yield "layout.batch_size", ("--ctx-batch-size", "1")
        prompt = str(compiled_prompt(self.spec, length))
        yield "engine.neuron.max_context_length", ("--max-context-length", prompt)
        yield "layout.max_model_len", ("--seq-len", str(length))


def continuous_batching(slots: int) -> bool:
    """Whether prompts are worked through one at a time while other slots generate."""
    return slots > 1


def model_type(replica: ReplicaPlan, spec: NeuronSpec) -> str:
    """Return the model's family, as ``inference_demo`` names it.

    Raises:
        ConfigError: It names none for what the model's config.json says.
    """
    architecture = replica.model.shape.architecture
    name = spec.model_type or MODEL_TYPES.get(architecture)
    if name is None:
        raise ConfigError(
            f"model.source: inference_demo has no name for models of type {quoted(architecture)} "
            f"(it has: {listed(dict.fromkeys(MODEL_TYPES.values()))})",
            hint="engine.neuron.model_type names one that a newer version has",
        )
    return name


def _sampling(spec: NeuronSpec) -> Iterator[Option]:
    sampling = spec.on_device_sampling
    key = "engine.neuron.on_device_sampling"
    yield key, ("--on-device-sampling",)
    # Of requests that say nothing of their own
    yield key, ("--top-k", "1")
    yield f"{key}.global_topk", ("--global-topk", str(sampling.global_topk))
    if sampling.do_sample:
        yield f"{key}.do_sample", ("--do-sample",)
    if sampling.dynamic:
        yield f"{key}.dynamic", ("--dynamic",)


def _attention(spec: NeuronSpec) -> Iterator[Option]:
    if spec.fused_qkv:
        yield "engine.neuron.fused_qkv", ("--fused-qkv",)
    if spec.sequence_parallel:
        yield "engine.neuron.sequence_parallel", ("--sequence-parallel-enabled",)
    for kernel in spec.kernels:
        yield "engine.neuron.kernels", (f"--{kernel}-kernel-enabled",)


def _buckets(spec: NeuronSpec) -> Iterator[Option]:
    if has_buckets(spec):
        yield "engine.neuron.bucketing", ("--enable-bucketing",)
    for key, flag, lengths in (
        ("context_buckets", "--context-encoding-buckets", spec.context_buckets),
        ("token_buckets", "--token-generation-buckets", spec.token_buckets),
    ):
        if lengths:
            yield f"engine.neuron.{key}", (flag, *map(str, sorted(lengths)))


def has_buckets(spec: NeuronSpec) -> bool:
    return spec.bucketing or bool(spec.context_buckets or spec.token_buckets)


def _renamed(spec: NeuronSpec, lnc: int, flags: DemoFlags) -> Iterator[Option]:
    """Yield what has another name, or another default, in another version.

    Up to 0.2 weights were written sharded unless a flag said no; since 0.3, if one says yes.
    """
    for flag in ("--logical-nc-config", "--logical-neuron-cores"):
        if flag in flags.names:
            yield "engine.neuron.lnc", (flag, str(lnc))
            break
    wanted = "--save-sharded-checkpoint" if spec.shard_weights else "--skip-save-sharded-checkpoint"
    if wanted in flags.names:
        yield "engine.neuron.shard_weights", (wanted,)


def _check_passed_through(spec: NeuronSpec, options: list[Option], flags: DemoFlags) -> None:
    owned = {words[0]: key for key, words in options}
    for word in spec.compile_args:
        flag = word.partition("=")[0]
        if flag in owned:
            raise ConfigError(
                f"engine.neuron.compile_args: {flag} is set by replicore from {owned[flag]}; "
                "use that key"
            )
        if flag.startswith("--"):
            flags.check("engine.neuron.compile_args", flag)
