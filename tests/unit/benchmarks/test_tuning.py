"""The benchmark of tuning, on one scenario and with numbers worked out by hand."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.tune import figures
from benchmarks.tuning.machine import measured
from benchmarks.tuning.scenarios import Scenario, scenario
from benchmarks.tuning.search import Judged, search
from replicore.engines.sim.profiles import PROFILES, step_time
from replicore.planner.plan import Outcome
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.recommend import answer_of

MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def outcomes(found: Scenario) -> list[Outcome]:
    return [one for one in answer_of(found.question, uncalibrated()).outcomes if one.service]


def test_machine_does_what_the_simulator_s_steps_say() -> None:
    found = scenario("trn2", MODEL, (256, 128), None)
    (outcome,) = (one for one in outcomes(found) if one.size == "4x16x2")
    machine = found.machine
    times = step_time(
        PROFILES["trn2"], machine.shape, tp=16, batch_size=2, max_model_len=machine.max_model_len
    )
    prompt, decode = times.prefill(256), 127 * times.decode(2, 0)
    truth = machine.truth(outcome)

    assert truth.ttft_s == pytest.approx((prompt, 2 * prompt))
    assert truth.tpot_s == pytest.approx(((decode + prompt) / 127, decode / 127))
    assert truth.tokens_per_s == pytest.approx(4 * 2 * 128 / (2 * prompt + decode))


def test_measured_run_is_off_by_little_and_the_same_for_a_seed() -> None:
    found = scenario("trn2", MODEL, (256, 128), None)
    outcome = outcomes(found)[0]
    truth = found.machine.truth(outcome)
    runs = [measured(truth, outcome, Random(3)) for _ in range(2)]

    assert runs[0] == runs[1]
    assert runs[0].latencies.tpot_s[0] == pytest.approx(truth.tpot_s[0], rel=0.1)


def test_search_judges_its_picks_against_the_best_of_all_layouts() -> None:
    found = search(scenario("trn2", MODEL, (256, 128), "25ms"), 1)

    assert found is not None
    assert found.runs < found.layouts / 4
    assert 0.8 < found.final.value <= 1.0
    assert set(found.looks) == {0, 1, 2, 3}


def test_scenario_without_a_valid_layout_is_left_out() -> None:
    assert search(scenario("trn2", MODEL, (256, 128), "1ms"), 1) is None


def test_figures_count_a_broken_limit_as_nothing() -> None:
    judged = [
        Judged(size="a", violates=False, value=1.0),
        Judged(size="b", violates=False, value=0.5),
        Judged(size="c", violates=True, value=0.0),
    ]

    assert figures(judged) == {
        "violating": 0.3333,
        "exact_best": 0.3333,
        "achieved_over_optimal": 0.75,
        "value": 0.5,
        "worst": 0.0,
    }
