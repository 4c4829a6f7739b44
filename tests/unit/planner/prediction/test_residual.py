"""Residuals are carried to like cases, and to others not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from replicore.models.parts import Experts
from replicore.planner.prediction.residual import Kernel, Residuals, places_of
from replicore.planner.step.traffic import Case
from tests.unit.planner.measured import LLAMA_8B, case

KERNEL = Kernel(reach=(2.0,) * 6, local=0.3, shared=0.25, deployment=0.0, noise=0.01)


def corrected(known: Case, other: Case, kernel: Kernel = KERNEL) -> tuple[float, float]:
    residuals = Residuals.of(kernel, places_of([known]), np.array([0.2]))
    mean, sd = residuals.correct(places_of([other]))
    return float(mean[0]), float(sd[0])


def test_case_that_was_measured_is_corrected_by_all_of_its_residual() -> None:
    mean, sd = corrected(case(), case())
    assert mean == pytest.approx(0.2, rel=0.01)
    assert sd == pytest.approx(0.01, rel=0.05)


def test_correction_fades_with_distance_and_uncertainty_grows() -> None:
    means, sds = zip(*(corrected(case(1), case(tp)) for tp in (1, 2, 4, 8)), strict=True)
    assert list(means) == sorted(means, reverse=True)
    assert list(sds) == sorted(sds)


def test_correction_at_one_reach_is_that_of_the_kernel() -> None:
    mean, _ = corrected(case(1), case(4))
    assert mean == pytest.approx(0.2 * np.exp(-0.5), rel=0.01)


@pytest.mark.parametrize("other", [{"device": "h200"}, {"engine": "sglang"}])
def test_other_device_or_engine_takes_only_the_share_that_is_common(other: dict[str, Any]) -> None:
    mean, _ = corrected(case(), case(**other))
    assert mean == pytest.approx(0.25 * 0.2, rel=0.01)


def test_unlike_case_keeps_all_of_the_uncertainty() -> None:
    mean, sd = corrected(case(1, 1), case(8, 4096, input_tokens=100_000))
    assert mean == pytest.approx(0.0, abs=1e-3)
    assert sd == pytest.approx(KERNEL.local, rel=1e-3)


def test_deployment_carries_what_all_of_its_cases_have_in_common() -> None:
    kernel = Kernel(reach=(2.0,) * 6, local=0.0, shared=0.25, deployment=0.3, noise=0.01)
    far = case(8, 4096, input_tokens=100_000)
    assert corrected(case(), far, kernel)[0] == pytest.approx(0.2, rel=0.01)
    other_engine = case(engine="sglang")
    assert corrected(case(), other_engine, kernel)[0] == pytest.approx(0.0)


def test_contradicting_measurements_of_one_case_are_averaged() -> None:
    twice: Sequence[Case] = [case(), case()]
    residuals = Residuals.of(KERNEL, places_of(twice), np.array([0.1, 0.3]))
    mean, _ = residuals.correct(places_of([case()]))
    assert mean[0] == pytest.approx(0.2, rel=0.01)


def test_models_with_experts_differ_by_more_and_are_carried_as_far() -> None:
    sparse = Experts(count=8, per_token=2, intermediate=4096, layers=32)
    experts = case(anatomy=replace(LLAMA_8B, experts=sparse))
    kernel = replace(KERNEL, experts=2.0)
    far = case(8, 4096, input_tokens=100_000, anatomy=experts.replica.anatomy)

    assert corrected(experts, experts, kernel)[0] == pytest.approx(0.2, rel=0.01)
    assert corrected(experts, far, kernel)[1] == pytest.approx(2 * KERNEL.local, rel=1e-3)
    assert corrected(case(), case(8, 4096, input_tokens=100_000), kernel)[1] == pytest.approx(
        KERNEL.local, rel=1e-3
    )
