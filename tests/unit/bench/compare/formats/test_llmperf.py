"""Results of LLMPerf, whose versions mean different things by the same names."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.bench.compare.formats.llmperf import read, recognises
from replicore.bench.compare.meaning import (
    DRAIN,
    EVENTS_AS_TOKENS,
    NEW_CONNECTION,
    STREAM_END,
    UNKNOWN_VERSION,
    ZEROS,
    Metric,
    Weight,
)
from replicore.bench.compare.measured import RATE, Measured
from tests.unit.bench.compare.results import llmperf_summary, response, source, vllm

SUMMARY = "tiny_100_10_summary.json"
RESPONSES = "tiny_100_10_individual_responses.json"


def run(version: str | None = None, **more: Any) -> Measured:
    """A run whose summary was named; without a version its responses are not there."""
    beside = {}
    if version is not None:
        beside[RESPONSES] = [response(version) for _ in range(20)]
    (found,) = read(source(llmperf_summary(**more), SUMMARY, beside))
    return found


def test_both_of_its_files_are_recognised_and_others_are_not() -> None:
    assert recognises(llmperf_summary())
    assert recognises([response("main")])
    assert not recognises(vllm())
    assert not recognises([])


@pytest.mark.parametrize(
    ("version", "tool"),
    [
        ("v2.0", "LLMPerf (v2.0)"),
        ("main", "LLMPerf (main)"),
        ("neuron", "LLMPerf (neuron or corrected)"),
        (None, "LLMPerf"),
    ],
)
def test_responses_tell_the_version_by_their_arithmetic(version: str | None, tool: str) -> None:
    assert run(version).tool == tool


def test_inter_token_latency_of_v2_is_e2e_per_token() -> None:
    found = run("v2.0").readings[Metric.NORMALIZED]

    assert found.field == "inter_token_latency_s"
    assert found.points["p50"].value == pytest.approx(1.2 / 11)
    assert EVENTS_AS_TOKENS not in found.departures


def test_inter_token_latency_of_main_is_e2e_per_event() -> None:
    found = run("main").readings[Metric.NORMALIZED]

    assert found.points["p50"].value == pytest.approx(1.2 / 6)
    assert EVENTS_AS_TOKENS in found.departures


def test_inter_token_latency_of_the_neuron_patch_is_a_tpot() -> None:
    found = run("neuron").readings[Metric.TPOT]

    assert found.field == "inter_token_latency_s"
    assert found.points["p50"].value == pytest.approx(0.1)
    assert {departure.weight for departure in found.departures} == {Weight.SLIGHT}


@pytest.mark.parametrize("version", ["v2.0", "main"])
def test_a_tpot_can_be_computed_where_the_field_is_none(version: str) -> None:
    found = run(version).readings[Metric.TPOT]

    # 1 s after the first of 11 tokens
    assert found.points["p50"].value == pytest.approx(0.1)
    assert STREAM_END in found.departures


def test_without_responses_the_inter_token_latency_is_incomparable() -> None:
    found = run().readings

    assert found[Metric.NORMALIZED].departures == {UNKNOWN_VERSION}
    assert found[Metric.REQUEST_RATE].departures == {UNKNOWN_VERSION}
    assert Metric.TPOT not in found


def test_throughput_of_a_request_counts_events_in_v2_only() -> None:
    assert EVENTS_AS_TOKENS in run("v2.0").readings[Metric.REQUEST_RATE].departures
    assert EVENTS_AS_TOKENS not in run("main").readings[Metric.REQUEST_RATE].departures


def test_ttft_opens_a_connection_and_e2e_ends_with_the_stream() -> None:
    found = run("main").readings

    assert found[Metric.TTFT].departures == {NEW_CONNECTION}
    assert found[Metric.E2E].departures == {NEW_CONNECTION, STREAM_END}


def test_a_summary_with_a_ttft_of_zero_is_incomparable() -> None:
    assert ZEROS in run(ttft_min=0.0).readings[Metric.TTFT].departures


def test_a_response_without_content_has_no_ttft() -> None:
    responses = [response("main"), response("main", ttft=0.0)]
    (found,) = read(source(responses, RESPONSES))

    assert found.readings[Metric.TTFT].points["mean"].value == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("version", "concurrency", "drained"),
    [("main", 4, False), ("main", 8, True), ("v2.0", 8, False), (None, 8, True)],
)
def test_throughput_of_main_is_incomparable_where_many_requests_are_dropped(
    version: str | None, concurrency: int, drained: bool
) -> None:
    found = run(version, concurrency=concurrency).readings[Metric.RUN_OUTPUT_RATE]

    assert (DRAIN in found.departures) is drained


def test_rates_are_per_second() -> None:
    found = run().readings

    assert found[Metric.RUN_OUTPUT_RATE].points[RATE].value == 22.0
    assert found[Metric.RUN_REQUESTS_RATE].points[RATE].value == 2.0


def test_conditions_come_from_the_summary() -> None:
    found = run().conditions

    assert (found.model, found.closed, found.concurrency) == ("tiny", True, 4)
    assert (found.input_tokens, found.output_tokens) == (100.0, 11.0)
    assert (found.succeeded, found.failed) == (100, 0)


def test_responses_alone_are_a_run_too() -> None:
    failed = response("main") | {"error_code": 429, "error_msg": "busy"}
    (found,) = read(source([response("main"), failed], RESPONSES))

    assert (found.conditions.succeeded, found.conditions.failed) == (1, 1)
    assert (found.conditions.input_tokens, found.conditions.output_tokens) == (100.0, 11.0)
    assert Metric.RUN_OUTPUT_RATE not in found.readings


def test_responses_find_their_summary() -> None:
    beside = {SUMMARY: [llmperf_summary()]}
    (found,) = read(source([response("main")], RESPONSES, beside))

    assert found.readings[Metric.RUN_OUTPUT_RATE].points[RATE].value == 22.0


def test_rounds_of_v2_are_told() -> None:
    assert run("v2.0").notes == [
        "it sends in rounds, so fewer requests are in flight than its concurrency says"
    ]
    assert run("main").notes == []


def test_responses_that_are_all_errors_have_no_latencies() -> None:
    failed = response("main") | {"error_code": -1}
    (found,) = read(source([failed], RESPONSES))

    assert found.readings == {}
    assert found.tool == "LLMPerf"
