"""Is what is served what was compiled? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from replicore.findings import Finding
from replicore.lints.flags import flags_of
from replicore.lints.plan import Plan
from replicore.wording import quoted

if TYPE_CHECKING:
    from replicore.spec import Spec

_WAYS_OUT = "`replicore compile` makes one that fits; or set {key} = {value}"

# Flags of `inference_demo` that set what a key of the spec sets.
# Source: NxD Inference, inference_demo.py
_SAMPLING = "engine.neuron.on_device_sampling"
_OWNED: Mapping[str, str] = MappingProxyType(
    {
        "--model-path": "model.source",
        "--compiled-model-path": "engine.neuron.artefacts",
        "--torch-dtype": "engine.neuron.dtype",
        "--seq-len": "layout.max_model_len",
        "--max-length": "layout.max_model_len",
        "--n-positions": "layout.max_model_len",
        "--max-context-length": "engine.neuron.max_context_length",
        "--batch-size": "layout.batch_size",
        "--max-batch-size": "layout.batch_size",
        "--ctx-batch-size": "layout.batch_size",
        "--tkg-batch-size": "layout.batch_size",
        "--is-continuous-batching": "layout.batch_size",
        "--tp-degree": "layout.tp",
        "--start-rank-id": "layout.tp",
        "--local-ranks-size": "layout.tp",
        "--world-size": "layout.tp",
        "--logical-nc-config": "engine.neuron.lnc",
        "--logical-neuron-cores": "engine.neuron.lnc",
        "--save-sharded-checkpoint": "engine.neuron.shard_weights",
        "--skip-save-sharded-checkpoint": "engine.neuron.shard_weights",
        "--skip-sharding": "engine.neuron.shard_weights",
        "--fused-qkv": "engine.neuron.fused_qkv",
        "--sequence-parallel-enabled": "engine.neuron.sequence_parallel",
        "--qkv-kernel-enabled": "engine.neuron.kernels",
        "--attn-kernel-enabled": "engine.neuron.kernels",
        "--mlp-kernel-enabled": "engine.neuron.kernels",
        "--enable-bucketing": "engine.neuron.bucketing",
        "--context-encoding-buckets": "engine.neuron.context_buckets",
        "--token-generation-buckets": "engine.neuron.token_buckets",
        "--pad-token-id": "engine.neuron.pad_token_id",
        "--on-device-sampling": _SAMPLING,
        "--do-sample": f"{_SAMPLING}.do_sample",
        "--top-k": f"{_SAMPLING}.global_topk",
        "--global-topk": f"{_SAMPLING}.global_topk",
        "--dynamic": f"{_SAMPLING}.dynamic",
    }
)


def lint_compiled(plan: Plan) -> Iterator[Finding]:
    """Tell where the artefact was compiled for other numbers than the layout's."""
    if plan.compiled is None:
        return
    layout = plan.layout
    wanted = {
        "layout.max_model_len": layout.max_model_len,
        "layout.batch_size": layout.batch_size,
        "layout.tp": layout.tp,
    }
    for key, value in wanted.items():
        compiled = plan.compiled.get(key, value)
        if compiled != value:
            yield _mismatch(key, value, compiled)
    if plan.compiled.get("layout.max_model_len", layout.max_model_len) == layout.max_model_len:
        message = f"the artefact was compiled for the {layout.max_model_len} tokens that are served"
        yield Finding(level="ok", check="compiled-length", message=message)


def lint_compile_args(spec: Spec) -> Iterator[Finding]:
    """Tell of flags in ``compile_args`` that the spec has keys for."""
    if spec.engine.kind != "neuron":
        return
    for flag in flags_of(spec.engine.neuron.compile_args):
        if flag in _OWNED:
            yield _second_source(flag, _OWNED[flag])


def _mismatch(key: str, value: int, compiled: object) -> Finding:
    check = "compiled-length" if key == "layout.max_model_len" else "compiled"
    return Finding(
        level="error",
        check=check,
        message=f"{key}: {value} is served, but the artefact was compiled for {quoted(compiled)}, "
        "and what was compiled counts",
        fix=_WAYS_OUT.format(key=key, value=compiled),
        key=key,
    )


def _second_source(flag: str, key: str) -> Finding:
    return Finding(
        level="error",
        check="compile-args",
        message=f"engine.neuron.compile_args: {flag} sets what {key} sets, and the replicas are "
        "started by the key",
        fix=f"take {flag} out and set {key}",
        key="engine.neuron.compile_args",
    )
