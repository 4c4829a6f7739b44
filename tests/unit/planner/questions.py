"""Questions about one made-up machine, whose answers are quick."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.planner.memory.rank import RankMemory
from replicore.planner.question import Cores, Degree, Lengths, Question
from replicore.planner.sheet import OwnCores
from replicore.planner.step.precision import Precision
from replicore.units import GIB

LLAMA_8B = Anatomy(
    layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, vocab=128256, intermediate=14336
)
CORES = 8


def question(**changes: Any) -> Question:
    """Return a question about Llama 8B on eight H100, with some of its fields changed."""
    core = devices()["h100"]
    asked = Question(
        name="default",
        model="llama-8b",
        engine="vllm",
        anatomy=LLAMA_8B,
        precision=Precision(),
        cores=Cores(machine="8 x H100", count=CORES, sheet=OwnCores(core=core, count=CORES)),
        degrees=tuple(Degree(tp=tp, replicas=CORES // tp) for tp in (1, 2, 4, 8)),
        memory=fits,
        max_model_len=4096,
        input_tokens=Lengths(mean=1024, stddev=128),
        output_tokens=Lengths(mean=256),
        batch_sizes=(1, 8, 64),
    )
    return replace(asked, **changes)


def rank_memory(tp: int, kv_bytes: int) -> RankMemory:
    return RankMemory(
        capacity=79 * GIB,
        weights=16 * GIB // tp,
        kv=kv_bytes,
        kv_per_token=131_072 // tp,
        activation=2 * GIB,
        overhead=GIB,
    )


def fits(*, replicas: int, tp: int, batch_size: int, max_model_len: int) -> tuple[RankMemory, str]:
    return rank_memory(tp, 50 * GIB), ""


def only_from_4_cores(
    *, replicas: int, tp: int, batch_size: int, max_model_len: int
) -> tuple[RankMemory, str]:
    """Say of smaller replicas that their weights are too large."""
    refusal = "" if tp >= 4 else "weights of 90 GiB are more than 79 GiB"
    return rank_memory(tp, 50 * GIB), refusal
