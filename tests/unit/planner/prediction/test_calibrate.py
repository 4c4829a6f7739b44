"""Calibrations find an engine's factors, and what others may expect from them."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.models.parts import Experts
from replicore.planner.prediction import priors
from replicore.planner.prediction.calibrate import calibrate, uncalibrated
from replicore.planner.prediction.residual import FEATURES
from replicore.planner.step.traffic import Observation
from tests.unit.planner.measured import LLAMA_8B, TPOT_FACTORS, case, grid, observed

SEEN = [observed(one) for one in grid()]
H100 = ("h100", "vllm")


def test_times_of_known_factors_are_predicted() -> None:
    tpot = calibrate(SEEN).tpot([seen.case for seen in SEEN])
    assert tpot.seconds == pytest.approx([seen.tpot_s for seen in SEEN], rel=0.02)


def test_factor_that_matters_is_found() -> None:
    own = calibrate(SEEN).own[H100]
    assert own.tpot.values[0] == pytest.approx(TPOT_FACTORS[0], rel=0.05)


def test_nothing_measured_leaves_the_priors() -> None:
    for predictor in (calibrate([]), uncalibrated()):
        assert not predictor.own
        assert (predictor.common.tpot.log == priors.TPOT.factors.log).all()


def test_observation_without_tpot_says_nothing() -> None:
    assert not calibrate([Observation(case=case(), ttft_s=1.0)]).own


def test_missing_ttft_leaves_its_prior() -> None:
    own = calibrate([Observation(case=case(), tpot_s=0.01)]).own[H100]
    assert (own.ttft.log == priors.TTFT.factors.log).all()


def test_unseen_device_is_less_certain_than_a_seen_one() -> None:
    predictor = calibrate(SEEN)
    seen, unseen = predictor.tpot([case()]), predictor.tpot([case(device="h200")])
    assert unseen.log_sd[0] > 2 * seen.log_sd[0]


def test_slow_engine_makes_others_expect_slowness() -> None:
    slow = calibrate([observed(one, off=1.5) for one in grid()])
    usual = calibrate(SEEN)
    other = [case(device="h200")]
    assert slow.tpot(other).seconds[0] > 1.2 * usual.tpot(other).seconds[0]


def test_rows_far_off_change_little() -> None:
    odd = [observed(one, off=4.0 if place % 12 == 0 else 1.0) for place, one in enumerate(grid())]
    cases = [seen.case for seen in SEEN]
    ratio = calibrate(odd).tpot(cases).seconds / calibrate(SEEN).tpot(cases).seconds
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)


def test_experts_have_a_calibration_of_their_own_and_do_not_decide_for_dense_models() -> None:
    experts = Experts(count=8, per_token=2, intermediate=4096, layers=32)
    fields = {name: getattr(LLAMA_8B, name) for name in LLAMA_8B.__dataclass_fields__}
    sparse = type(LLAMA_8B)(**{**fields, "experts": experts})
    slow = [observed(one, off=3.0) for one in grid(anatomy=sparse)]
    both = calibrate([*SEEN, *slow])
    assert set(both.own) == {H100, ("h100", "vllm-experts")}
    assert both.common.tpot.log == pytest.approx(calibrate(SEEN).common.tpot.log)


def test_limits_of_what_was_measured_are_kept() -> None:
    own = calibrate(SEEN).own[H100]
    assert dict(zip(FEATURES, own.lowest, strict=True))["tp"] == 1
    assert dict(zip(FEATURES, own.highest, strict=True))["concurrency"] == 256
    assert own.beyond(case(2, 16)) == ()
    assert own.beyond(case(2, 1000)) == ("concurrency",)
