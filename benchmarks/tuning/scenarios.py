"""What is tuned for: devices, models, lengths and limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from benchmarks.tuning.machine import SimulatedMachine
from replicore.deploy.deployment import prepare
from replicore.deploy.question import question_of
from replicore.planner.question import Question
from replicore.spec import load_spec
from replicore.tune.serving import tuned_spec

_PROFILES = ("trn2", "inf2", "h100")
_MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.3-70B-Instruct")
# Input and output tokens.
_LENGTHS = ((256, 128), (1024, 256), (4096, 256), (512, 1024))
_TPOT_LIMITS = (None, "15ms", "25ms", "40ms", "80ms")
_SLOTS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    question: Question
    machine: SimulatedMachine


def scenarios() -> Iterator[Scenario]:
    """Yield all combinations."""
    for profile, model, lengths, limit in product(_PROFILES, _MODELS, _LENGTHS, _TPOT_LIMITS):
        yield scenario(profile, model, lengths, limit)


def scenario(profile: str, model: str, lengths: tuple[int, int], limit: str | None) -> Scenario:
    inputs, outputs = lengths
    settings = {
        "engine.kind": "sim",
        "engine.sim.profile": profile,
        "engine.sim.cores": {"trn2": 64, "inf2": 24, "h100": 8}[profile],
        "model.source": model,
        "workload.input_tokens.mean": inputs,
        "workload.output_tokens.mean": outputs,
        "layout.max_model_len": inputs + outputs,
    }
    if limit is not None:
        settings["slo.tpot_p99"] = limit
    spec = load_spec(None, environ={}, overrides=settings)
    prepared = prepare(tuned_spec(spec))
    return Scenario(
        name=f"{profile} {model.rpartition('/')[2]} {inputs}/{outputs} {limit or 'no limit'}",
        question=question_of(prepared, batch_sizes=_SLOTS),
        machine=SimulatedMachine(
            profile=profile,
            shape=prepared.model.shape,
            input_tokens=inputs,
            output_tokens=outputs,
            max_model_len=inputs + outputs,
        ),
    )
