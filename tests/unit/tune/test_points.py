"""Results of benchmarks as calibration points, and what cannot be one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from replicore.bench.compare.meaning import DRAIN, STREAM_END, Metric
from replicore.bench.compare.measured import Conditions, Measured, Reading, of_summary
from replicore.bench.sweep.plan import SweptLayout
from replicore.errors import ConfigError
from replicore.planner.step.traffic import Case, Traffic
from replicore.tune.belief import cases_of
from replicore.tune.point_files import read_points
from replicore.tune.points import point_of
from tests.unit.tune.made import problem

REPLICA = cases_of(problem().outcomes())["2x2x8"].replica
LAYOUT = SweptLayout(2, 2, 8)
CONDITIONS = Conditions(
    closed=True, concurrency=16, input_tokens=1000.0, output_tokens=101.0, simulated=False
)
VLLM = {
    "date": "20261123-080000",
    "endpoint_type": "openai",
    "backend": "vllm",
    "model_id": "llama",
    "tokenizer_id": "llama",
    "num_prompts": 10,
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": 8,
    "duration": 10.0,
    "completed": 10,
    "total_input_tokens": 10_000,
    "total_output_tokens": 1_000,
    "request_throughput": 1.0,
    "output_throughput": 100.0,
    "total_token_throughput": 1100.0,
    "mean_ttft_ms": 200.0,
    "median_ttft_ms": 190.0,
    "p99_ttft_ms": 400.0,
    "mean_tpot_ms": 20.0,
    "median_tpot_ms": 19.0,
    "p99_tpot_ms": 30.0,
}


def case_of(layout: SweptLayout, traffic: Traffic) -> Case:
    return Case(replica=replace(REPLICA, tp=layout.tp), traffic=traffic)


def reading(**points: float | None) -> Reading:
    found = of_summary("a field", points)
    assert found is not None
    return found


def measured(conditions: Conditions = CONDITIONS, **readings: Reading) -> Measured:
    known = readings or {"TTFT": reading(mean=0.2), "TPOT": reading(mean=0.02)}
    return Measured(
        name="run.json",
        tool="a tool",
        conditions=conditions,
        readings={Metric[name]: found for name, found in known.items()},
    )


def test_point_has_the_times_and_the_traffic_of_one_replica() -> None:
    seen = point_of(measured(), LAYOUT, case_of).observation

    assert (seen.ttft_s, seen.tpot_s, seen.source) == (0.2, 0.02, "run.json (a tool)")
    assert seen.case.replica.tp == 2
    assert seen.case.traffic == Traffic(input_tokens=1000, output_tokens=101, concurrency=8)


def test_median_stands_in_for_a_mean_that_is_missing() -> None:
    run = measured(TTFT=reading(p50=0.3), TPOT=reading(mean=0.02, p50=0.01))
    seen = point_of(run, LAYOUT, case_of).observation

    assert (seen.ttft_s, seen.tpot_s) == (0.3, 0.02)


def test_tpot_of_a_tool_without_one_follows_from_the_means() -> None:
    # 2 s of decoding, after the first of 101 tokens.
    run = measured(TTFT=reading(mean=0.2), E2E=reading(mean=2.2))

    assert point_of(run, LAYOUT, case_of).observation.tpot_s == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("verdict", "warned"),
    [("CLIENT-BOUND", True), ("CONTAMINATED-CACHE", True), ("VALID", False), (None, False)],
)
def test_doubtful_run_counts_with_a_warning(verdict: str | None, warned: bool) -> None:
    point = point_of(measured(replace(CONDITIONS, verdict=verdict)), LAYOUT, case_of)

    assert bool(point.warning) is warned
    assert not warned or f"the run is {verdict}" in point.warning


def test_slight_departure_from_our_definition_is_taken() -> None:
    late = replace(reading(mean=0.2), departures=frozenset({STREAM_END}))
    run = measured(TTFT=late, TPOT=reading(mean=0.02))

    assert point_of(run, LAYOUT, case_of).observation.ttft_s == 0.2


def test_result_file_of_another_tool_is_read_with_the_layout_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "vllm.json"
    path.write_text(json.dumps(VLLM))
    (point,) = read_points([f"{path}=2x2"], case_of)

    assert point.layout == SweptLayout(2, 2)
    assert (point.observation.ttft_s, point.observation.tpot_s) == (0.2, 0.02)
    assert point.observation.case.traffic.concurrency == 4


def test_file_of_a_sweep_s_run_says_its_layout_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "4x1x8-c8-r1.json"
    path.write_text(json.dumps(VLLM))
    (point,) = read_points([str(path)], case_of)

    assert point.layout == SweptLayout(4, 1, 8)


# SAD PATH


@pytest.mark.parametrize(
    ("run", "message"),
    [
        pytest.param(measured(TPOT=reading(mean=0.02)), "has no TTFT; it has tpot_s", id="no TTFT"),
        pytest.param(measured(TTFT=reading(mean=0.02)), "has no TPOT; it has ttft_s", id="no TPOT"),
        pytest.param(
            measured(TTFT=reading(p99=0.2), TPOT=reading(mean=0.02)),
            "has neither a mean nor a median",
            id="a tail alone",
        ),
        pytest.param(
            measured(
                TTFT=replace(reading(mean=0.2), departures=frozenset({DRAIN})),
                TPOT=reading(mean=0.02),
            ),
            "drops the slowest requests",
            id="a number that means something else",
        ),
        pytest.param(
            measured(replace(CONDITIONS, closed=False)), "is no closed loop", id="an open loop"
        ),
        pytest.param(
            measured(replace(CONDITIONS, concurrency=None)), "is no closed loop", id="no number"
        ),
        pytest.param(
            measured(replace(CONDITIONS, output_tokens=None)), "does not say how long", id="lengths"
        ),
        pytest.param(
            measured(replace(CONDITIONS, simulated=True)), "is of a simulator", id="simulated"
        ),
    ],
)
def test_run_that_says_too_little_is_refused_with_the_reason(run: Measured, message: str) -> None:
    with pytest.raises(ConfigError, match=f"run.json: .*{message}"):
        point_of(run, LAYOUT, case_of)


def test_run_without_a_layout_is_refused_with_how_to_say_it() -> None:
    with pytest.raises(ConfigError, match="does not say with how many replicas") as caught:
        point_of(measured(), None, case_of)
    assert "=2x4" in (caught.value.hint or "")
