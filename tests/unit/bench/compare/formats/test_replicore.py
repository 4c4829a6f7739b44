"""Our own results, of both schemas."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from replicore.bench.compare.formats.replicore import read, recognises
from replicore.bench.compare.meaning import Metric
from replicore.bench.compare.measured import RATE, Measured, Point
from replicore.bench.load.arrivals import Constant, Load
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.results import document
from replicore.bench.stats.summary import summarize
from replicore.errors import ConfigError
from tests.unit.bench.compare.results import ours, record, row, source, spread, vllm


def run(document: dict[str, Any], *, whole_run: bool = False) -> Measured:
    (found,) = read(source(document), whole_run=whole_run)
    return found


def first_schema() -> dict[str, Any]:
    """A document of schema 1, of twenty requests."""
    document = ours([record(index) for index in range(20)], schema="replicore-bench/1")
    plain = {"n": 4, "mean": 0.2, "min": 0.2, "p50": 0.2, "p90": 0.2, "p95": 0.2, "p99": 0.2}
    document["run"] = {"model": "tiny", "workload": {"seed": 1}, "concurrency": 8}
    document["summary"] = {
        "total": {
            "succeeded": 20,
            "errors": 0,
            "input_tokens": 40,
            "output_tokens": 12,
            "output_tokens_per_s": 30.0,
            "requests_per_s": None,
            "ttft_s": plain,
        },
        "window": {"start_s": 2.0, "end_s": 4.0, "steady": True},
        "run_output_tokens_per_s": 20.0,
    }
    del document["verdict"]
    return document


def test_our_results_are_recognised_and_others_are_not() -> None:
    assert recognises(ours())
    assert recognises(first_schema())
    assert not recognises(vllm())


def test_a_newer_schema_is_refused_with_what_would_help() -> None:
    with pytest.raises(ConfigError, match='"replicore-bench/3" is not one of') as caught:
        recognises({"schema": "replicore-bench/3"})

    assert caught.value.hint == "a newer replicore wrote it; upgrade this one"


def test_numbers_of_the_summary_come_with_their_intervals() -> None:
    found = run(ours()).readings[Metric.TTFT]

    p50 = found.points["p50"]
    assert (p50.value, p50.low, p50.high) == pytest.approx((0.2, 0.18, 0.22))
    assert found.points["mean"].low == pytest.approx(0.19)
    assert found.field == "ttft_s"


def test_values_are_of_the_window_among_our_own_and_of_the_run_beside_others() -> None:
    document = ours([record(index) for index in range(8, 14)])

    assert run(document).keys == [(10, 0), (11, 0), (12, 0), (13, 0)]
    assert len(run(document, whole_run=True).keys) == 6


def test_values_are_by_our_definitions() -> None:
    # 3 tokens: TTFT 0.2, gaps 0.1, so E2E 0.4.
    document = ours([record(index) for index in range(20, 40)])
    document["summary"]["total"] = {}
    found = run(document).readings

    means = {
        metric: reading.points["mean"].value
        for metric, reading in found.items()
        if "mean" in reading.points
    }
    assert means == pytest.approx(
        {
            Metric.TTFT: 0.2,
            Metric.TPOT: 0.1,
            Metric.GAP: 0.1,
            Metric.STALL: 0.1,
            Metric.E2E: 0.4,
            Metric.NORMALIZED: 0.4 / 3,
            Metric.REQUEST_RATE: 7.5,
        }
    )


def test_failed_requests_have_no_values() -> None:
    failed = record(21) | {"failure": {"kind": "cut", "message": "no [DONE]"}}

    assert run(ours([record(20), failed])).keys == [(20, 0)]


def test_latencies_of_an_open_loop_are_read_from_the_plan_and_from_the_dispatch() -> None:
    document = ours([record(20)])
    document["summary"]["latency_from"] = "intended"
    document["summary"]["total"] |= {
        "ttft_s": spread(0.25),
        "ttft_dispatched_s": spread(0.2),
        "e2e_dispatched_s": spread(0.4),
    }
    found = run(document).readings

    assert found[Metric.TTFT].points["p50"].value == 0.2
    assert found[Metric.TTFT_INTENDED].points["p50"].value == 0.25
    values = found[Metric.TTFT_INTENDED].values
    assert values is not None
    assert values.tolist() == pytest.approx([0.25])


def test_a_refused_quantile_is_no_number() -> None:
    document = ours()
    document["summary"]["total"]["ttft_s"]["quantiles"][3] = {"p": 0.99, "value": None, "low": 0.3}

    assert "p99" not in run(document).readings[Metric.TTFT].points


def test_requests_that_were_not_seen_to_their_end_are_counted() -> None:
    document = ours()
    document["summary"]["total"]["e2e_s"] = spread(0.4, censored=7)

    assert run(document).readings[Metric.E2E].censored == 7


def test_rates_of_window_and_run_have_their_intervals() -> None:
    found = run(ours()).readings

    assert found[Metric.OUTPUT_RATE].points[RATE] == Point(30.0, 27.0, 33.0)
    assert found[Metric.RUN_OUTPUT_RATE].points[RATE] == Point(20.0, 18.0, 22.0)


def test_a_window_that_is_the_whole_run_is_not_called_steady() -> None:
    document = ours()
    document["summary"]["window"]["steady"] = False
    found = run(document).readings

    assert Metric.OUTPUT_RATE not in found
    assert found[Metric.RUN_OUTPUT_RATE].points[RATE].value == 20.0


def test_schema_1_has_values_of_the_whole_run_and_plain_rates() -> None:
    found = run(first_schema())

    assert len(found.keys) == 20
    assert found.readings[Metric.TTFT].points["mean"].value == pytest.approx(0.2)
    assert found.readings[Metric.TTFT].field == "records"
    assert found.readings[Metric.OUTPUT_RATE].points[RATE] == Point(30.0)
    assert found.readings[Metric.RUN_OUTPUT_RATE].points[RATE] == Point(20.0)
    assert Metric.REQUESTS_RATE not in found.readings
    assert found.conditions.concurrency == 8


def test_records_in_a_file_of_their_own_are_found_beside() -> None:
    document = ours(records_file="out/r.jsonl")
    del document["records"]
    lines = [{"warmup": True} | record(19), {"warmup": False} | record(20)]

    (found,) = read(source(document, beside={"out/r.jsonl": lines}), whole_run=False)
    assert found.keys == [(20, 0)]
    assert run(document).notes == [
        "its records are not there (out/r.jsonl), so there are no ratios of latencies"
    ]


def test_records_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="its records are not those of a replicore result: "):
        run(ours([{"index": "one"}]))


def test_workloads_are_equal_only_with_everything_in_them() -> None:
    other_seed, other_model = ours(), ours()
    other_seed["run"] = other_seed["run"] | {"workload": {"seed": 2}}
    other_model["run"] = other_model["run"] | {"model": "large"}

    assert run(ours()).workload == run(ours()).workload
    assert run(ours()).workload != run(other_seed).workload
    assert run(ours()).workload != run(other_model).workload


def test_conditions_tell_load_lengths_and_verdict() -> None:
    found = run(ours()).conditions

    assert (found.model, found.closed, found.concurrency) == ("tiny", True, 8)
    assert (found.input_tokens, found.output_tokens) == (10.0, 3.0)
    assert (found.succeeded, found.failed, found.verdict) == (100, 0, "VALID")


@pytest.mark.parametrize(
    ("arrivals", "rate", "said"),
    [
        ("poisson:10", None, "poisson:10"),
        ({"rate": 10.0}, 10.0, None),
        ({"kind": "gamma", "rate": 10.0, "shape": 0.5}, 10.0, "gamma, shape 0.5"),
        ({"times_s": [0.0, 1.0]}, None, None),
    ],
)
def test_arrivals_are_an_open_loop(arrivals: Any, rate: float | None, said: str | None) -> None:
    document = ours()
    document["run"] = document["run"] | {"load": {"concurrency": None, "arrivals": arrivals}}
    found = run(document).conditions

    assert (found.closed, found.rate_per_s, found.arrivals) == (False, rate, said)


def test_an_interrupted_run_says_so() -> None:
    document = ours()
    document["run"] = document["run"] | {"interrupted": True}

    assert run(document).notes == ["it was interrupted"]


def test_schema_1_without_records_has_its_plain_numbers() -> None:
    document = first_schema()
    del document["records"]

    assert run(document).readings[Metric.TTFT].points["p99"] == Point(0.2)


def test_the_whole_run_has_numbers_of_its_own() -> None:
    document = ours()
    document["summary"]["whole"] = row(20.0, ttft_s=spread(0.5))

    assert run(document, whole_run=True).readings[Metric.TTFT].points["p50"].value == 0.5
    assert run(document).readings[Metric.TTFT].points["p50"].value == 0.2


def result(load: Load) -> BenchResult:
    records = tuple(msgspec.convert(record(index), RequestRecord) for index in range(60))
    return BenchResult(
        endpoints=("http://127.0.0.1:8000",),
        model="tiny",
        workload=Workload(seed=7),
        load=load,
        requests=60,
        simulated=True,
        exact_prompts=True,
        started_at="2026-11-23T08:01:02+00:00",
        interrupted=False,
        warmup=(),
        records=records,
    )


@pytest.mark.parametrize(
    ("load", "closed", "rate"),
    [
        (Load(concurrency=1), True, None),
        (Load(concurrency=None, arrivals=Constant(1.0)), False, 1.0),
    ],
)
def test_what_bench_writes_is_read_back(load: Load, closed: bool, rate: float | None) -> None:
    measured = result(load)
    summary = summarize(measured)
    written = document("tiny", measured, summary, command=[], notes=[])
    found = run(json.loads(written))

    assert (found.conditions.closed, found.conditions.rate_per_s) == (closed, rate)
    assert found.conditions.simulated is True
    # 0.2 s from the dispatch, and 0.25 s from the plan
    assert found.readings[Metric.TTFT].points["mean"].value == pytest.approx(0.2)
    assert (Metric.TTFT_INTENDED in found.readings) is not closed
    assert found.readings[Metric.E2E].values is not None
    assert found.readings[Metric.RUN_OUTPUT_RATE].points[RATE].value == pytest.approx(3, rel=0.05)
