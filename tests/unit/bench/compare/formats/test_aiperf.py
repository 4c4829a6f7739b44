"""Results of AIPerf."""

from __future__ import annotations

import pytest

from replicore.bench.compare.formats.aiperf import read, recognises
from replicore.bench.compare.meaning import OWN_TOKENIZER, STREAM_END, Metric
from replicore.bench.compare.measured import RATE
from tests.unit.bench.compare.results import aiperf, aiperf_line, measured_in, ours, source, vllm

NAME = "profile_export_aiperf.json"


def test_its_results_are_recognised_and_others_are_not() -> None:
    assert recognises(aiperf())
    assert not recognises(vllm())
    assert not recognises(ours())


def test_inter_token_latency_is_a_tpot_of_its_own_tokens() -> None:
    (found,) = read(source(aiperf(), NAME))

    assert found.readings[Metric.TPOT].points["p50"].value == pytest.approx(0.1)
    assert found.readings[Metric.TPOT].departures == {OWN_TOKENIZER}
    assert found.readings[Metric.TTFT].departures == frozenset()
    assert found.tool == "AIPerf 0.13.0"


def test_units_of_the_file_are_obeyed() -> None:
    (found,) = read(source(aiperf(), NAME))

    # The one is in milliseconds, the other in seconds.
    assert found.readings[Metric.TTFT].points["p99"].value == pytest.approx(0.2)
    assert found.readings[Metric.E2E].points["p99"].value == pytest.approx(0.4)


def test_a_metric_in_another_unit_is_left_out() -> None:
    document = aiperf(time_to_first_token={"unit": "furlongs", "avg": 1.0})
    (found,) = read(source(document, NAME))

    assert Metric.TTFT not in found.readings


def test_tokens_that_the_server_counted_are_ours() -> None:
    document = aiperf()
    document["input_config"]["endpoint"]["use_server_token_count"] = True
    (found,) = read(source(document, NAME))

    assert found.readings[Metric.TPOT].departures == frozenset()
    assert found.readings[Metric.RUN_OUTPUT_RATE].departures == frozenset()


def test_before_schema_versions_an_answer_ended_with_its_stream() -> None:
    document = aiperf()
    del document["schema_version"]
    (found,) = read(source(document, NAME))

    assert found.readings[Metric.E2E].departures == {STREAM_END}


def test_conditions_are_those_of_the_measured_phase() -> None:
    (found,) = read(source(aiperf(), NAME))

    conditions = found.conditions
    assert (conditions.model, conditions.closed, conditions.concurrency) == ("tiny", True, 8)
    assert (conditions.succeeded, conditions.failed) == (100, 2)
    assert (conditions.input_tokens, conditions.output_tokens) == (10.0, 3.0)


def test_conditions_of_older_versions_are_read() -> None:
    given = {
        "endpoint": {"model_names": ["old"]},
        "loadgen": {"request_rate": 5.0, "request_rate_mode": "poisson"},
    }
    (found,) = read(source(aiperf(input_config=given), NAME))

    conditions = found.conditions
    assert (conditions.model, conditions.closed, conditions.rate_per_s) == ("old", False, 5.0)
    assert conditions.arrivals == "poisson"


def test_rates_are_of_the_whole_run() -> None:
    (found,) = read(source(aiperf(), NAME))

    assert found.readings[Metric.RUN_OUTPUT_RATE].points[RATE].value == 30.0
    assert Metric.RUN_TOTAL_RATE not in found.readings


def test_records_beside_it_give_the_values_of_good_requests_in_order() -> None:
    late, early = aiperf_line(20), aiperf_line(10)
    late["metrics"]["time_to_first_token"]["value"] = 300.0
    bad = aiperf_line(5, error={"code": 500})
    warm = aiperf_line(1)
    warm["metadata"]["benchmark_phase"] = "warmup"
    lines = [late, bad, warm, early]
    (found,) = read(source(aiperf(), NAME, {"profile_export.jsonl": lines}))

    values = found.readings[Metric.TTFT].values
    assert values is not None
    assert values.tolist() == pytest.approx([0.2, 0.3])


def test_records_are_computed_by_our_formulas() -> None:
    lines = [aiperf_line(start) for start in range(20)]
    (found,) = read(source(aiperf(), NAME, {"profile_export.jsonl": lines}))

    p50 = {
        metric: reading.points["p50"].value
        for metric, reading in found.readings.items()
        if "p50" in reading.points
    }
    # E2E 0.4 s of 3 tokens; gaps 0.09 and 0.11 s.
    assert p50 == pytest.approx(
        {
            Metric.TTFT: 0.2,
            Metric.TPOT: 0.1,
            Metric.GAP: 0.1,
            Metric.STALL: 0.11,
            Metric.E2E: 0.4,
            Metric.NORMALIZED: 0.4 / 3,
            Metric.REQUEST_RATE: 7.5,
        }
    )


def test_tokens_that_the_server_counted_are_preferred_where_the_file_has_them() -> None:
    lines = [aiperf_line(start) for start in range(20)]
    for line in lines:
        line["metrics"]["usage_completion_tokens"] = {"value": 5, "unit": "tokens"}
    usage = {
        "usage_completion_tokens": measured_in(5.0, "tokens"),
        "usage_prompt_tokens": measured_in(7.0, "tokens"),
        "total_usage_completion_tokens": {"unit": "tokens", "avg": 500.0},
        "benchmark_duration": {"unit": "sec", "avg": 10.0},
    }
    (found,) = read(source(aiperf(**usage), NAME, {"profile_export.jsonl": lines}))

    # 0.2 s after the first of 5 tokens; 500 tokens in 10 s
    assert found.readings[Metric.TPOT].points["mean"].value == pytest.approx(0.05)
    assert found.readings[Metric.TPOT].departures == frozenset()
    assert found.readings[Metric.RUN_OUTPUT_RATE].points[RATE].value == 50.0
    assert found.readings[Metric.RUN_OUTPUT_RATE].departures == frozenset()
    assert (found.conditions.input_tokens, found.conditions.output_tokens) == (7.0, 5.0)


def test_a_cancelled_run_says_so() -> None:
    (found,) = read(source(aiperf(was_cancelled=True), NAME))

    assert found.notes == ["it was cancelled"]
