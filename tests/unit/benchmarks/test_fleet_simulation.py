from __future__ import annotations

from typing import Any

import pytest

from benchmarks.fleet_simulation.fit import Probed, fit_steps
from benchmarks.fleet_simulation.llamacpp import (
    BUDGET,
    CASES,
    fleet,
    measured_figures,
    row_of,
    simulated_figures,
)
from benchmarks.fleet_simulation.queues import queue_rows
from benchmarks.fleet_simulation.speed import speed_rows
from replicore.engines.sim.steptime import StepTime
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import ClosedLoop, Requests

STEPS = StepTime(
    decode_s=0.01,
    sequence_s=0.002,
    context_token_s=1e-6,
    prefill_s=0.01,
    prompt_token_s=0.005,
    prompt_pair_s=2e-6,
)


def probed(tokens: int, decoding: int) -> Probed:
    """Return what a probe of an engine with these steps finds."""
    chunks = -(-tokens // BUDGET)
    prompt_s = chunks * STEPS.prefill_s + STEPS.prompt(tokens)
    return Probed(
        input_tokens=tokens,
        output_tokens=24,
        decoding=decoding,
        gap_s=STEPS.decode(decoding, decoding * (tokens + 12)),
        ttft_s=prompt_s if decoding == 1 else None,
    )


def test_fit_finds_the_terms_of_the_steps() -> None:
    probes = [probed(tokens, decoding) for tokens in (10, 50, 100, 250) for decoding in (1, 2, 4)]
    found = fit_steps(probes, BUDGET)

    for name in ("decode_s", "sequence_s", "context_token_s", "prompt_token_s", "prompt_pair_s"):
        assert getattr(found, name) == pytest.approx(getattr(STEPS, name))
    assert found.prefill_s == found.decode_s


def test_term_that_would_be_negative_is_left_out() -> None:
    shrinking = [
        Probed(input_tokens=10, output_tokens=10, decoding=n, gap_s=0.1 - 0.01 * n, ttft_s=0.2)
        for n in (1, 2, 4)
    ]
    found = fit_steps(shrinking, BUDGET)

    assert found.sequence_s == 0.0
    assert found.decode_s > 0


def record(index: int, dispatched: float, first: float, last: float) -> dict[str, Any]:
    return {
        "index": index,
        "input_tokens": 128,
        "output_tokens": 32,
        "dispatched_s": dispatched,
        "chunk_times_s": [first, last],
        "failure": None,
    }


def test_run_of_the_simulated_engine_itself_has_no_error() -> None:
    case = next(case for case in CASES if case.name == "all slots")
    requests = Requests.same(40, input_tokens=128, output_tokens=32)
    run = simulate(fleet(STEPS, 2), ClosedLoop(8), requests)
    times = zip(run.arrival_s.tolist(), run.first_s.tolist(), run.end_s.tolist(), strict=True)
    records = [record(index, *one) for index, one in enumerate(times)]

    assert simulated_figures(records, STEPS, 2, case) == pytest.approx(measured_figures(records))


def test_errors_are_those_of_each_round_and_their_median() -> None:
    row = row_of([({"tokens": 10.0}, {"tokens": 11.0}), ({"tokens": 10.0}, {"tokens": 9.0})])

    assert row["errors"] == {"tokens": [0.1, -0.1]}
    assert row["error_median"] == {"tokens": 0.0}
    assert row["simulated"] == {"tokens": 10.0}


def test_rows_say_what_was_simulated() -> None:
    speed, theory = next(speed_rows(50)), next(iter(queue_rows(50)))

    assert (speed["replicas"], speed["output_tokens"]) == (1, 50 * 128)
    assert (theory["queue"], theory["theory_s"]) == ("M/M/1", pytest.approx(0.3 / 0.7, abs=1e-4))
