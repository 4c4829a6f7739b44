"""Cases, and measurements that follow from known factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.planner.prediction import priors
from replicore.planner.prediction.fit import Array
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica
from replicore.planner.step.terms import tpot_terms, ttft_terms
from replicore.planner.step.traffic import Case, Observation, Traffic

LLAMA_8B = Anatomy(
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128_256,
    intermediate=14_336,
)


def case(
    tp: int = 2,
    concurrency: float = 16,
    *,
    input_tokens: float = 1000,
    output_tokens: float = 500,
    device: str = "h100",
    engine: str = "vllm",
    **values: Any,
) -> Case:
    replica = Replica(
        device=devices()[device],
        engine=engine,
        anatomy=LLAMA_8B,
        precision=Precision(),
        tp=tp,
    )
    traffic = Traffic(
        input_tokens=input_tokens, output_tokens=output_tokens, concurrency=concurrency
    )
    return Case(replica=replace(replica, **values), traffic=traffic)


def grid(**values: Any) -> Iterator[Case]:
    """Yield cases that tell the terms apart."""
    for tp in (1, 2, 4, 8):
        for concurrency in (1, 8, 64, 256):
            for prompt, output in ((200, 1000), (1000, 200), (4000, 400)):
                lengths: dict[str, Any] = {"input_tokens": prompt, "output_tokens": output}
                yield case(tp, concurrency, **lengths, **values)


TPOT_FACTORS = priors.TPOT.factors.values * np.linspace(0.8, 1.4, len(priors.TPOT.factors.log))
TTFT_FACTORS = priors.TTFT.factors.values


def observed(one: Case, *, off: float = 1.0, tpot_factors: Array = TPOT_FACTORS) -> Observation:
    """Return what is measured where the factors are these, and TPOT ``off`` by a factor."""
    tpot_s = off * float(tpot_factors @ tpot_terms(one))
    ttft_s = float(TTFT_FACTORS @ ttft_terms(one, tpot_s))
    return Observation(case=one, ttft_s=ttft_s, tpot_s=tpot_s)
