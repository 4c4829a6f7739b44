"""A Llama 70B on half a trn2.48xlarge, as the tutorial deploys it, to be varied by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from replicore.cores import CoreRange
from replicore.engines.recipe import Value
from replicore.findings import Finding
from replicore.hardware.machine import Machine, NumaNode
from replicore.lints.lint import lint
from replicore.models.shape import ModelShape
from replicore.spec import Spec, load_spec

GIB = 2**30

LLAMA_70B = ModelShape(
    architecture="llama",
    layers=80,
    hidden=8192,
    heads=64,
    kv_heads=8,
    head_dim=128,
    vocab=128256,
    max_model_len=131072,
    weight_bytes=141_107_412_992,
)

NEURON = {
    "engine.kind": "neuron",
    "layout.max_model_len": "8704",
    "workload.input_tokens": {"mean": 7936, "stddev": 30},
    "workload.output_tokens": {"mean": 256, "stddev": 30},
}


@dataclass(frozen=True, kw_only=True)
class FakeLayout:
    replicas: int = 2
    tp: int = 32
    batch_size: int = 4
    max_model_len: int = 8704

    @property
    def ranges(self) -> tuple[CoreRange, ...]:
        return CoreRange.of(range(self.replicas * self.tp)).split(self.tp)


def machine(kind: str) -> Machine:
    cores = CoreRange.parse("0-63")
    return Machine(
        kind=kind,
        name="trn2.48xlarge",
        cores=cores,
        core_limit=64,
        numa=(NumaNode(index=0, cores=cores),),
        memory_bytes=64 * 24 * GIB,
    )


def spec_of(keys: Mapping[str, Any]) -> Spec:
    """Return the spec with these keys, by dotted name."""
    return load_spec(None, environ={}, overrides=keys)


def findings(
    keys: Mapping[str, Any] | None = None,
    *,
    kind: str = "neuron",
    layout: FakeLayout | None = None,
    compiled: Mapping[str, Value] | None = None,
    weight_bytes: int = LLAMA_70B.weight_bytes,
    trained_for: int = LLAMA_70B.max_model_len,
) -> list[Finding]:
    """Return what is found in the tutorial's deployment with ``keys`` changed."""
    return list(
        lint(
            spec_of({**NEURON, **(keys or {})}),
            shape=replace(LLAMA_70B, weight_bytes=weight_bytes, max_model_len=trained_for),
            machine=machine(kind),
            layout=layout or FakeLayout(),
            compiled=compiled,
        )
    )


def only(found: list[Finding], check: str) -> Finding:
    """Return the one finding of a check."""
    (finding,) = [finding for finding in found if finding.check == check]
    return finding


def problems(found: list[Finding]) -> list[str]:
    """Return the checks that found an error or a warning."""
    return [finding.check for finding in found if finding.level != "ok"]
