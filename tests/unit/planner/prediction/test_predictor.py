"""Predictions learn from measurements, and say how sure they are."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.planner.prediction.calibrate import calibrate, uncalibrated
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.traffic import Case, Observation
from tests.unit.planner.measured import case, grid, observed

SEEN = [observed(one) for one in grid()]


@pytest.fixture(name="predictor", scope="module")
def calibrated() -> Predictor:
    return calibrate(SEEN)


def test_measured_case_is_predicted_as_measured(predictor: Predictor) -> None:
    measured = observed(case(), off=1.2)
    learnt = predictor.learn([measured])
    assert measured.tpot_s is not None
    assert learnt.tpot([case()]).seconds[0] == pytest.approx(measured.tpot_s, rel=0.02)


def test_measurement_corrects_its_neighbours_less_than_itself(predictor: Predictor) -> None:
    learnt = predictor.learn([observed(case(2, 16), off=1.2)])
    cases = [case(2, 16), case(2, 32), case(8, 256)]
    ratio = learnt.tpot(cases).seconds / predictor.tpot(cases).seconds
    assert ratio[0] > ratio[1] > ratio[2] > 1.0


@pytest.mark.parametrize("start", [calibrate(SEEN), uncalibrated()])
def test_uncertainty_shrinks_with_every_measurement(start: Predictor) -> None:
    asked: list[Case] = [case(4, 32)]
    runs = [observed(one) for one in (case(1, 4), case(2, 16), case(4, 32))]
    sds = [start.learn(runs[:count]).tpot(asked).log_sd[0] for count in (1, 2, 3)]
    assert sds == sorted(sds, reverse=True)
    assert sds[-1] < sds[0] / 2


def test_intervals_of_held_out_cases_hold_the_truth_about_as_often_as_they_say() -> None:
    noise = np.random.default_rng(1).normal(0, 0.12, len(SEEN))
    rows = [observed(one, off=float(np.exp(z))) for one, z in zip(grid(), noise, strict=True)]
    known, asked = rows[::2], rows[1::2]
    times = calibrate(known).learn(known).tpot([row.case for row in asked])
    off = np.log(times.seconds / np.array([row.tpot_s for row in asked], dtype=np.float64))
    assert 0.6 <= (np.abs(off) < 1.28 * times.log_sd).mean() <= 0.98


def test_learning_forgets_what_was_learnt_before(predictor: Predictor) -> None:
    again = predictor.learn([observed(case(), off=2.0)]).learn([])
    assert again.tpot([case()]).seconds == pytest.approx(predictor.tpot([case()]).seconds)


def test_absurd_measurement_is_limited(predictor: Predictor) -> None:
    learnt = predictor.learn([observed(case(), off=1000.0)])
    ratio = learnt.tpot([case()]).seconds / predictor.tpot([case()]).seconds
    assert ratio[0] < np.exp(1.5)


def test_measurement_without_ttft_corrects_tpot_alone(predictor: Predictor) -> None:
    learnt = predictor.learn([Observation(case=case(), tpot_s=0.1)])
    assert learnt.tpot_residuals is not None
    assert learnt.ttft_residuals is None


def test_shares_name_where_the_time_goes(predictor: Predictor) -> None:
    shares = predictor.tpot([case(1, 1)]).shares[0]
    assert shares.sum() == pytest.approx(1.0)
    assert shares.argmax() == 0  # a single sequence waits for the weights


def test_ttft_grows_with_the_tpot_that_it_waits_for(predictor: Predictor) -> None:
    ttft = [predictor.ttft([case()], np.array([s])).seconds[0] for s in (0.01, 0.05)]
    assert ttft[1] > ttft[0]
