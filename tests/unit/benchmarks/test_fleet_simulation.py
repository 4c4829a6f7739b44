from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from benchmarks.fleet_simulation.llamacpp import (
    BUDGET,
    CASES,
    fleet,
    measured_figures,
    row_of,
    simulated_figures,
)
from benchmarks.fleet_simulation.passes import Passes, Probed, fit_passes
from benchmarks.fleet_simulation.queues import queue_rows
from benchmarks.fleet_simulation.speed import speed_rows
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import ClosedLoop, Requests

STEPS = Passes(
    fixed_s=0.001,
    group_s=0.025,
    single_s=0.009,
    output_s=0.003,
    context_token_s=1e-6,
    pair_s=2e-6,
)


def prompt_s(tokens: int) -> float:
    """Return what a prompt takes that is worked on alone, pass by pass."""
    starts = range(0, tokens, BUDGET)
    parts = [(min(BUDGET, tokens - start), start) for start in starts]
    return sum(STEPS.prefill(*part) for part in parts) + STEPS.output_s


def probed(tokens: int, decoding: int) -> Probed:
    """Return what a probe of an engine with these steps finds."""
    return Probed(
        input_tokens=tokens,
        output_tokens=24,
        decoding=decoding,
        gap_s=STEPS.decode(decoding, decoding * (tokens + 12)),
        ttft_s=prompt_s(tokens) if decoding == 1 else None,
    )


def test_fit_finds_the_terms_of_the_steps() -> None:
    probes = [probed(tokens, decoding) for tokens in (10, 50, 101, 250) for decoding in range(1, 5)]

    assert astuple(fit_passes(probes, BUDGET)) == pytest.approx(astuple(STEPS))


def test_decoded_tokens_fill_the_groups_of_a_prompt() -> None:
    beside = STEPS.mixed(3, 0, [(13, 0)])
    apart = STEPS.decode(3, 0) + STEPS.prefill(13, 0)

    assert beside == pytest.approx(apart - STEPS.fixed_s - 4 * STEPS.single_s + STEPS.group_s)


def test_term_that_would_be_negative_is_left_out() -> None:
    shrinking = [
        Probed(input_tokens=10, output_tokens=10, decoding=n, gap_s=0.1 - 0.01 * n, ttft_s=0.2)
        for n in (1, 2, 4)
    ]

    assert min(astuple(fit_passes(shrinking, BUDGET))) == 0.0


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
