from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import pytest

from benchmarks.fleet_simulation.llamacpp import (
    BUDGET,
    CASES,
    decoded,
    fleet,
    measured_figures,
    row_of,
    simulated_figures,
)
from benchmarks.fleet_simulation.passes import Decoded, Passes, Probed, Prompted, fit_passes
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


def probes() -> Iterator[Probed]:
    """Yield what probes of an engine with these steps find, a slow one and a fast one of each."""
    for speed in (0.8, 1.2):
        for tokens in (10, 50, 101, 250):
            yield Prompted(tokens, speed * prompt_s(tokens))
            for sequences in range(1, 5):
                context = sequences * (tokens + 12)
                yield Decoded(sequences, context, speed * STEPS.decode(sequences, context))


def test_fit_finds_the_terms_of_the_mean_step() -> None:
    assert astuple(fit_passes(probes(), BUDGET)) == pytest.approx(astuple(STEPS))


def test_prompt_beside_decoding_takes_one_token_into_their_pass() -> None:
    beside = STEPS.mixed(3, 300, [(13, 26)])
    pairs = 13 * (26 + 6.5)

    passes = STEPS.fixed_s + STEPS.group_s + STEPS.fixed_s + 3 * STEPS.group_s
    others = 3 * STEPS.output_s + 300 * STEPS.context_token_s + pairs * STEPS.pair_s
    assert beside == pytest.approx(passes + others)


def test_prompt_alone_is_one_pass() -> None:
    assert STEPS.prefill(16, 0) == pytest.approx(
        STEPS.fixed_s + 4 * STEPS.group_s + 16 * 8 * STEPS.pair_s
    )


def test_term_that_would_be_negative_is_left_out() -> None:
    shrinking = [Decoded(sequences, 10, 0.1 - 0.01 * sequences) for sequences in (1, 2, 4)]

    assert min(astuple(fit_passes([*shrinking, Prompted(10, 0.2)], BUDGET))) == 0.0


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


def test_steps_are_counted_while_all_decode() -> None:
    early = record(0, 0.0, 1.0, 5.0) | {"chunk_times_s": [1.0, 2.0, 3.0, 4.0, 5.0]}
    late = record(1, 0.0, 3.0, 7.0) | {"chunk_times_s": [3.0, 4.0, 5.0, 6.0, 7.0]}

    assert decoded([early, late]) == Decoded(2, 2 * (128 + 16), 1.0)


def test_errors_are_those_of_each_round_and_their_median() -> None:
    row = row_of([({"tokens": 10.0}, {"tokens": 11.0}), ({"tokens": 10.0}, {"tokens": 9.0})])

    assert row["errors"] == {"tokens": [0.1, -0.1]}
    assert row["error_median"] == {"tokens": 0.0}
    assert row["simulated"] == {"tokens": 10.0}


def test_rows_say_what_was_simulated() -> None:
    speed, theory = next(speed_rows(50)), next(iter(queue_rows(50)))

    assert (speed["replicas"], speed["output_tokens"]) == (1, 50 * 128)
    assert (theory["queue"], theory["theory_s"]) == ("M/M/1", pytest.approx(0.3 / 0.7, abs=1e-4))
