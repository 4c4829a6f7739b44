"""Results of GuideLLM."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.bench.compare.formats.guidellm import read, recognises
from replicore.bench.compare.meaning import OWN_WINDOW, STREAM_END, TOKEN_VOTES, ZEROS, Metric
from replicore.bench.compare.measured import RATE, Measured
from tests.unit.bench.compare.results import (
    guided,
    guided_request,
    guidellm,
    guidellm_benchmark,
    source,
    vllm,
)

CONCURRENT = {"type_": "concurrent", "streams": 8}


def run(strategy: dict[str, Any] = CONCURRENT, **more: Any) -> Measured:
    (found,) = read(source(guidellm(guidellm_benchmark(strategy, **more))))
    return found


def test_its_results_are_recognised_and_others_are_not() -> None:
    assert recognises(guidellm())
    assert not recognises(vllm())
    assert not recognises({"benchmarks": []})


def test_inter_token_latency_is_a_tpot_in_which_each_token_votes() -> None:
    found = run().readings

    assert found[Metric.TPOT].points["p50"].value == pytest.approx(0.1)
    assert found[Metric.TPOT].departures == {TOKEN_VOTES}
    assert found[Metric.NORMALIZED].field == "time_per_output_token_ms"


def test_requests_of_the_file_have_a_vote_each() -> None:
    requests = {"successful": [guided_request(110.0), guided_request(105.0, ttft_ms=300.0)]}
    found = run(requests=requests).readings

    assert found[Metric.TPOT].departures == frozenset()
    values = found[Metric.TTFT].values
    assert values is not None
    assert values.tolist() == pytest.approx([0.3, 0.2])


def test_requests_of_the_file_end_with_their_last_token() -> None:
    found = run(requests={"successful": [guided_request(110.0)]}).readings

    assert run().readings[Metric.E2E].departures == {STREAM_END}
    assert found[Metric.E2E].departures == frozenset()
    assert found[Metric.E2E].points["mean"].value == pytest.approx(0.4)
    assert found[Metric.REQUEST_RATE].points["mean"].value == pytest.approx(7.5)


@pytest.mark.parametrize("start", [99.0, 201.0])
def test_requests_outside_of_its_window_are_left_out(start: float) -> None:
    requests = {"successful": [guided_request(start), guided_request(110.0)]}
    values = run(requests=requests).readings[Metric.TTFT].values

    assert values is not None
    assert len(values) == 1


def test_a_sample_of_the_requests_is_said_to_be_one() -> None:
    requests = {"successful": [guided_request(110.0)]}

    assert run(requests=requests).notes == ["the file has 1 of its 100 requests"]
    assert run().notes == []


def test_rates_without_warm_up_are_of_the_whole_run() -> None:
    found = run().readings

    assert found[Metric.RUN_OUTPUT_RATE].points[RATE].value == 30.0
    assert found[Metric.RUN_OUTPUT_RATE].departures == frozenset()
    assert Metric.OUTPUT_RATE not in found


def test_rates_with_warm_up_are_of_its_own_window() -> None:
    found = run(warmup_duration=5.0).readings

    assert found[Metric.OUTPUT_RATE].departures == {OWN_WINDOW}
    assert Metric.RUN_OUTPUT_RATE not in found


def test_zeros_in_a_distribution_are_told() -> None:
    benchmark = guidellm_benchmark(CONCURRENT)
    benchmark["metrics"]["time_to_first_token_ms"] = guided(200.0, least=0.0)
    (found,) = read(source(guidellm(benchmark)))

    assert found.readings[Metric.TTFT].departures == {ZEROS}


def test_a_distribution_of_nothing_is_left_out() -> None:
    benchmark = guidellm_benchmark(CONCURRENT)
    benchmark["metrics"]["time_to_first_token_ms"] = guided(0.0, count=0)
    (found,) = read(source(guidellm(benchmark)))

    assert Metric.TTFT not in found.readings


@pytest.mark.parametrize(
    ("strategy", "closed", "concurrency", "rate"),
    [
        ({"type_": "synchronous"}, True, 1, None),
        ({"type_": "concurrent", "streams": 8}, True, 8, None),
        ({"type_": "throughput", "max_concurrency": 512}, True, 512, None),
        ({"type_": "constant", "rate": 5.0}, False, None, 5.0),
        ({"type_": "poisson", "rate": 5.0, "max_concurrency": 9}, False, 9, 5.0),
    ],
)
def test_strategies_are_loops(
    strategy: dict[str, Any], closed: bool, concurrency: int | None, rate: float | None
) -> None:
    found = run(strategy).conditions

    assert (found.closed, found.concurrency, found.rate_per_s) == (closed, concurrency, rate)


def test_conditions_tell_model_lengths_and_counts() -> None:
    found = run().conditions

    assert (found.model, found.input_tokens, found.output_tokens) == ("tiny", 10.0, 3.0)
    assert (found.succeeded, found.failed) == (100, 1)


def test_a_model_that_only_the_arguments_name_is_found() -> None:
    benchmark = guidellm_benchmark(CONCURRENT)
    benchmark["config"]["backend"] = {}
    (found,) = read(source(guidellm(benchmark)))

    assert found.conditions.model == "asked"


def test_each_benchmark_of_a_file_is_a_run_with_its_place() -> None:
    document = guidellm(*(guidellm_benchmark({"type_": "constant", "rate": r}) for r in (1.0, 2.0)))
    found = read(source(document, "benchmarks.json"))

    assert [run.name for run in found] == ["benchmarks.json#1", "benchmarks.json#2"]
    assert [run.conditions.rate_per_s for run in found] == [1.0, 2.0]
    assert found[0].conditions.arrivals == "constant"
