"""What a compiled model depends on, by the names under which a user can change it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replicore.engines.engine import ReplicaPlan
from replicore.engines.neuron.inference_demo import continuous_batching, has_buckets
from replicore.engines.neuron.memory import compiled_prompt
from replicore.engines.neuron.native import neuron_config
from replicore.engines.recipe import Value
from replicore.spec.tables import EngineSpec, NeuronSpec

KERNELS = ("qkv", "attn", "mlp")

# Of engine.env: what the compiler reads
_COMPILER_VARIABLES = ("NEURON_CC_", "XLA_")

# Attributes of NeuronConfig; of two for one field the later one counts
_NAMES: Mapping[str, str] = {
    "tp_degree": "layout.tp",
    "batch_size": "layout.batch_size",
    "seq_len": "layout.max_model_len",
    "logical_neuron_cores": "engine.neuron.lnc",
    "logical_nc_config": "engine.neuron.lnc",
    "torch_dtype": "engine.neuron.dtype",
    "max_context_length": "engine.neuron.max_context_length",
    "fused_qkv": "engine.neuron.fused_qkv",
    "sequence_parallel_enabled": "engine.neuron.sequence_parallel",
    "enable_bucketing": "engine.neuron.bucketing",
    "context_encoding_buckets": "engine.neuron.context_buckets",
    "token_generation_buckets": "engine.neuron.token_buckets",
    "save_sharded_checkpoint": "engine.neuron.shard_weights",
    "is_continuous_batching": "continuous batching",
}

_SAMPLING = ("do_sample", "global_topk", "dynamic")

_LISTS = ("engine.neuron.context_buckets", "engine.neuron.token_buckets")


def common_fields(
    replica: ReplicaPlan,
    spec: EngineSpec,
    *,
    lnc: int,
    platform: str,
    content: str | None,
    versions: Mapping[str, str],
) -> dict[str, Value]:
    """Return what the artefacts of all generations depend on.

    Args:
        content: See :func:`~replicore.models.fingerprint.fingerprint`.
        versions: Of the packages that compile it, and of Python; none where they were not asked.
    """
    compiler = {
        f"engine.env.{name}": value
        for name, value in sorted(spec.env.items())
        if name.startswith(_COMPILER_VARIABLES)
    }
    return {
        "model.source": replica.model.source,
        "model.revision": replica.model.revision,
        "model.content": content,
        "layout.tp": replica.tp,
        "layout.batch_size": replica.batch_size,
        "layout.max_model_len": replica.max_model_len,
        "engine.neuron.lnc": lnc,
        "engine.neuron.dtype": spec.neuron.dtype,
        "platform": platform,
        **compiler,
        **versions,
    }


def compiled_model_fields(replica: ReplicaPlan, spec: NeuronSpec) -> dict[str, Value]:
    """Return what a model that is compiled by ``inference_demo`` depends on beyond that."""
    sampling = spec.on_device_sampling
    return {
        "engine.neuron.max_context_length": compiled_prompt(spec, replica.max_model_len),
        "engine.neuron.fused_qkv": spec.fused_qkv,
        "engine.neuron.sequence_parallel": spec.sequence_parallel,
        "engine.neuron.bucketing": has_buckets(spec),
        "engine.neuron.context_buckets": list[Value](sorted(spec.context_buckets)),
        "engine.neuron.token_buckets": list[Value](sorted(spec.token_buckets)),
        "engine.neuron.kernels": [kernel for kernel in KERNELS if kernel in spec.kernels],
        "engine.neuron.on_device_sampling.do_sample": sampling.do_sample,
        "engine.neuron.on_device_sampling.global_topk": sampling.global_topk,
        "engine.neuron.on_device_sampling.dynamic": sampling.dynamic,
        "engine.neuron.shard_weights": spec.shard_weights,
        "engine.neuron.compile_args": list[Value](spec.compile_args),
        "continuous batching": continuous_batching(replica.batch_size),
    }


def compile_cache_fields(spec: EngineSpec) -> dict[str, Value]:
    """Return what the cache of a generation that compiles when it starts depends on beyond that."""
    return {
        "engine.neuron.config": dict(neuron_config(spec.neuron)),
        "engine.args": list[Value](spec.args),
    }


def compiled_fields(compiled: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return what a ``neuron_config.json`` says, under the names of :func:`compiled_model_fields`.

    What it does not say is left out: neither the model's revision nor any version is in it.

    Args:
        compiled: The file that NxD Inference writes into the folder of a compiled model.
    """
    inner = compiled.get("neuron_config")
    config = inner if isinstance(inner, Mapping) else compiled
    found = {field: config[name] for name, field in _NAMES.items() if name in config}
    found |= {field: _ascending(found.get(field)) for field in _LISTS}
    found["engine.neuron.kernels"] = [
        kernel for kernel in KERNELS if config.get(f"{kernel}_kernel_enabled") is True
    ]
    return {**found, **_sampling_fields(config.get("on_device_sampling_config"))}


def _ascending(value: Value) -> list[Value]:
    """Return the numbers of a list of them, ascending; none where there is no list."""
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return list[Value](sorted(number for number in numbers if isinstance(number, int)))


def _sampling_fields(config: Value) -> dict[str, Value]:
    # A model that was compiled without it has none of these
    values = config if isinstance(config, Mapping) else dict.fromkeys(_SAMPLING)
    return {f"engine.neuron.on_device_sampling.{n}": values[n] for n in _SAMPLING if n in values}
