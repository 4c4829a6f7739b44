"""Factors drawn to what was measured here."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.step.traffic import Observation, newest
from replicore.tune.belief import cases_of
from replicore.tune.collective_prior import with_collective
from replicore.tune.refit import learnt, refitted
from tests.unit.tune.made import problem

KEY = ("h100", "vllm")
CASES = cases_of(problem().outcomes())


def slower(times: float, *sizes: str) -> list[Observation]:
    """Return runs that took so many times longer than is believed of any device."""
    start = uncalibrated()
    cases = [CASES[size] for size in sizes]
    tpot = start.tpot(cases).seconds
    ttft = start.ttft(cases, tpot).seconds
    return [
        Observation(case=case, ttft_s=times * float(b), tpot_s=times * float(a))
        for case, a, b in zip(cases, tpot, ttft, strict=True)
    ]


def test_nothing_learnt_changes_nothing() -> None:
    start = uncalibrated()

    assert learnt(start, []) is start


def test_layouts_that_were_not_run_are_believed_slower_after_a_slow_run() -> None:
    start, case = uncalibrated(), CASES["4x1x8"]
    after = learnt(start, slower(3.0, "2x2x8"))
    ratio = float(after.tpot([case]).seconds[0] / start.tpot([case]).seconds[0])

    assert 1.8 < ratio < 3.3


def test_layout_that_was_run_is_believed_as_fast_as_it_was() -> None:
    seen = slower(3.0, "2x2x8")
    found = learnt(uncalibrated(), seen).tpot([CASES["2x2x8"]])

    assert float(found.seconds[0]) == pytest.approx(seen[0].tpot_s, rel=0.1)


def test_run_makes_the_next_prediction_surer() -> None:
    start, case = uncalibrated(), CASES["4x1x8"]
    after = learnt(start, slower(1.0, "2x2x8"))

    assert after.tpot([case]).log_sd[0] < start.tpot([case]).log_sd[0]


def test_calibration_counts_its_runs_and_spans_them() -> None:
    found = refitted(uncalibrated(), KEY, slower(1.0, "2x2x8", "1x4x8"))

    assert found.rows == 2
    assert (found.lowest[0], found.highest[0]) == (2.0, 4.0)


def test_second_calibration_goes_on_from_the_first() -> None:
    first = learnt(uncalibrated(), slower(1.0, "2x2x8"))
    second = refitted(first, KEY, slower(1.0, "4x1x8"))

    assert second.rows == 2
    assert (second.lowest[0], second.highest[0]) == (1.0, 2.0)


def test_run_without_ttft_leaves_its_factors_alone() -> None:
    start = uncalibrated()
    (seen,) = slower(3.0, "2x2x8")
    found = refitted(start, KEY, [Observation(case=seen.case, tpot_s=seen.tpot_s)])

    assert found.ttft is start.common.ttft
    assert not np.allclose(found.tpot.log, start.common.tpot.log)


def test_other_devices_keep_their_calibrations() -> None:
    first = learnt(uncalibrated(), slower(1.0, "2x2x8"))
    after = learnt(first, [])

    assert after.own[KEY] is first.own[KEY]


def test_newest_run_of_a_case_counts() -> None:
    old, new = slower(1.0, "2x2x8") + slower(2.0, "2x2x8")

    assert newest([old, *slower(1.0, "4x1x8"), new])[0] == new
    assert len(newest([old, new])) == 1


def test_measured_collective_is_what_a_fit_starts_from() -> None:
    # 2 all-reduces a layer of 25 us for each doubling, counted in units of 10 us.
    told = with_collective(uncalibrated(), KEY, 25e-6).own[KEY]

    assert told.tpot.values[5] == pytest.approx(5.0)
    assert told.tpot.covariance[5, 5] == pytest.approx(0.16)


def test_measured_collective_does_not_overrule_runs() -> None:
    known = learnt(uncalibrated(), slower(1.0, "2x2x8"))

    assert with_collective(known, KEY, 25e-6) is known
