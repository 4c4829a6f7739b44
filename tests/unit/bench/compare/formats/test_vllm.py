"""Results of ``vllm bench serve``."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.bench.compare.formats.vllm import read, recognises
from replicore.bench.compare.meaning import EMPTY_EVENTS, EVENTS_AS_TOKENS, FIRST_EVENT, Metric
from replicore.bench.compare.measured import RATE, Measured
from tests.unit.bench.compare.results import aiperf, detailed, llmperf_summary, source, vllm


def run(**more: object) -> Measured:
    (found,) = read(source(vllm(**more)))
    return found


def test_its_results_are_recognised_and_others_are_not() -> None:
    assert recognises(vllm())
    assert not recognises(aiperf())
    assert not recognises(llmperf_summary())


def test_summary_gives_the_latencies_in_seconds() -> None:
    found = run().readings

    assert found[Metric.TTFT].points["p50"].value == pytest.approx(0.2)
    assert found[Metric.TPOT].points["p99"].value == pytest.approx(0.1)
    assert found[Metric.GAP].points["mean"].value == pytest.approx(0.1)
    assert found[Metric.E2E].points["mean"].value == pytest.approx(0.4)
    assert "p95" not in found[Metric.TTFT].points


def test_rates_are_of_the_whole_run() -> None:
    found = run().readings

    assert found[Metric.RUN_OUTPUT_RATE].points[RATE].value == 30.0
    assert found[Metric.RUN_TOTAL_RATE].points[RATE].value == 130.0
    assert found[Metric.RUN_REQUESTS_RATE].points[RATE].value == 10.0
    assert Metric.OUTPUT_RATE not in found


def test_steady_rates_of_the_rust_client_count_events_as_tokens() -> None:
    steady = {"output_throughput": 33.0, "request_throughput": 11.0}
    found = run(steady_state=steady).readings

    assert found[Metric.OUTPUT_RATE].departures == {EVENTS_AS_TOKENS}
    assert found[Metric.OUTPUT_RATE].points[RATE].value == 33.0
    assert found[Metric.REQUESTS_RATE].departures == frozenset()


def test_conditions_of_a_closed_loop() -> None:
    found = run().conditions

    assert (found.model, found.closed, found.concurrency, found.rate_per_s) == (
        "tiny",
        True,
        8,
        None,
    )
    assert (found.input_tokens, found.output_tokens) == (10.0, 3.0)
    assert (found.succeeded, found.failed) == (100, 0)


def test_a_request_rate_is_an_open_loop_with_its_arrivals() -> None:
    found = run(request_rate=5.0, burstiness=0.5).conditions

    assert (found.closed, found.rate_per_s) == (False, 5.0)
    assert found.arrivals == "gamma, burstiness 0.5"


def test_failures_are_what_did_not_complete_where_no_field_tells() -> None:
    document = vllm(completed=90)
    del document["failed"]
    (found,) = read(source(document))

    assert found.conditions.failed == 10


def test_all_requests_at_once_are_said_to_be() -> None:
    assert run(max_concurrency=None).notes == [
        "all requests were sent at once, so its TTFT is mostly the wait in the queue"
    ]


def test_in_chat_the_first_event_ends_the_ttft_and_nothing_changes_the_e2e() -> None:
    found = run(backend="openai-chat").readings

    assert found[Metric.TTFT].departures == {FIRST_EVENT}
    assert found[Metric.TPOT].departures == {FIRST_EVENT}
    assert found[Metric.E2E].departures == frozenset()


@pytest.mark.parametrize("more", [{}, detailed(20)], ids=["summary", "detailed"])
def test_an_itl_is_of_events_with_content_and_without(more: dict[str, Any]) -> None:
    found = run(**more).readings

    assert found[Metric.GAP].departures == {EMPTY_EVENTS}
    assert found[Metric.TPOT].departures == frozenset()


def test_detailed_requests_come_in_the_order_of_sending() -> None:
    more = detailed(3)
    more["ttfts"] = [0.3, 0.2, 0.1]
    found = run(**more)

    values = found.readings[Metric.TTFT].values
    assert values is not None
    assert values.tolist() == [0.1, 0.2, 0.3]
    assert found.keys == [2, 1, 0]


def test_detailed_requests_are_computed_by_our_formulas() -> None:
    # E2E 0.2 + 0.1 + 0.3 of 3 tokens, so TPOT 0.4 / 2.
    found = run(**detailed(20, gaps=(0.1, 0.3))).readings

    p50 = {
        metric: reading.points["p50"].value
        for metric, reading in found.items()
        if reading.values is not None
    }
    assert p50 == pytest.approx(
        {
            Metric.TTFT: 0.2,
            Metric.TPOT: 0.2,
            Metric.STALL: 0.3,
            Metric.E2E: 0.6,
            Metric.NORMALIZED: 0.2,
            Metric.REQUEST_RATE: 5.0,
        }
    )
    assert found[Metric.GAP].points["p50"].value == pytest.approx(0.2)


def test_failed_requests_are_left_out() -> None:
    more = detailed(3)
    more["errors"] = ["", "reset", ""]
    more["ttfts"] = [0.2, 0.2, 0.0]
    found = run(**more)

    assert found.keys == [0]


def test_workload_is_known_by_lengths_that_vary_and_only_by_them() -> None:
    first, second = run(**detailed(4)), run(**detailed(4, ttft=0.5))
    constant = run(**{**detailed(4), "input_lens": [10] * 4})

    assert first.workload == second.workload
    assert first.workload is not None
    assert constant.workload is None
    assert run().workload is None


def test_lists_of_unequal_length_are_not_used() -> None:
    found = run(**{**detailed(3), "itls": [[0.1]]})

    assert found.readings[Metric.TTFT].values is None
    assert found.keys == []


@pytest.mark.parametrize(
    "more", [{"itls": 3}, {"errors": [""]}, {"start_times": [1.0]}, {"errors": 3}]
)
def test_lists_of_another_shape_are_no_fault(more: dict[str, Any]) -> None:
    assert Metric.TTFT in run(**(detailed(20) | more)).readings
