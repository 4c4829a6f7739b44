"""LLMPerf's numbers, and its flat summary."""

from __future__ import annotations

import math
from typing import Any

import pytest

from replicore.bench.llmperf.entries import Entry
from replicore.bench.llmperf.summary import METRICS, Results, results, spread, summary
from tests.unit.bench.llmperf.made import entry, options

STATISTICS = [
    *(f"quantiles_{name}" for name in ("p25", "p50", "p75", "p90", "p95", "p99")),
    *("mean", "min", "max", "stddev"),
]


def summarized(entries: list[Entry], **run: Any) -> dict[str, object]:
    found = results(entries, elapsed_s=4.0)
    return summary(options(run=run), found, stem="tiny_550_150", timestamp=1_700_000_000)


def errors(*codes: int | str | None) -> Results:
    return results([entry(error_code=code) for code in codes], elapsed_s=1.0)


def test_spread_interpolates_and_divides_by_one_less() -> None:
    found = spread([1.0, 2.0, 3.0, 4.0])

    # p25 lies at 0.75 of the way from the first to the second value: h = 3 x 0.25
    assert found.percentiles == pytest.approx(
        {"p25": 1.75, "p50": 2.5, "p75": 3.25, "p90": 3.7, "p95": 3.85, "p99": 3.97}
    )
    assert (found.mean, found.min, found.max) == (2.5, 1.0, 4.0)
    assert found.stddev == pytest.approx(math.sqrt(5 / 3))


def test_spread_of_one_value_has_no_stddev() -> None:
    found = spread([2.0])

    assert found.percentiles["p99"] == found.mean == 2.0
    assert math.isnan(found.stddev)


def test_spread_of_nothing_is_nan_throughout() -> None:
    found = spread([])

    assert all(map(math.isnan, (*found.percentiles.values(), found.mean, found.min, found.stddev)))


def test_undefined_values_are_left_out_of_a_spread() -> None:
    found = results([entry(ttft_s=None), entry(ttft_s=2.0)], elapsed_s=1.0)

    assert found.spreads["ttft_s"].min == 2.0


def test_errors_count_as_started_and_in_nothing_else() -> None:
    good, bad = entry(number_output_tokens=8), entry(error_code=500, number_output_tokens=99)
    found = results([good, good, bad, good], elapsed_s=6.0)

    assert (found.started, found.errors, found.completed) == (4, 1, 3)
    assert found.error_rate == 0.25
    assert found.output_tokens_per_s == 24 / 6
    assert found.completed_per_min == 30.0
    assert found.spreads["number_output_tokens"].max == 8


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        ((None, None), "{}"),
        ((None, 429, -1, 429), "{429.0: 2, -1.0: 1}"),
        ((429, 429), "{429: 2}"),
        ((None, "overloaded"), "{'overloaded': 1}"),
        ((), "{}"),
    ],
)
def test_error_codes_are_the_text_of_a_dict(codes: tuple[int | str | None], text: str) -> None:
    assert errors(*codes).error_codes == text


def test_summary_keys_stand_in_the_order_of_llmperf() -> None:
    found = summarized([entry()], sampling={"temperature": 0.7, "top_k": 50})

    assert list(found) == [
        *("version", "name", "model", "mean_input_tokens", "stddev_input_tokens"),
        *("mean_output_tokens", "stddev_output_tokens", "num_concurrent_requests"),
        *("additional_sampling_params_temperature", "additional_sampling_params_top_k"),
        *(f"results_{metric}_{name}" for metric in METRICS for name in STATISTICS),
        *("results_num_requests_started", "results_error_rate", "results_number_errors"),
        "results_error_code_frequency",
        "results_mean_output_throughput_token_per_s",
        "results_num_completed_requests",
        "results_num_completed_requests_per_min",
        "timestamp",
    ]


def test_summary_values_have_the_types_of_llmperf() -> None:
    found = summarized([entry(number_output_tokens=151), entry(number_output_tokens=22)])

    assert found["version"] == "2023-08-31"
    assert found["name"] == "tiny_550_150_summary"
    assert found["results_number_output_tokens_min"] == "22"
    assert found["results_number_input_tokens_max"] == "100"
    assert found["results_number_input_tokens_quantiles_p50"] == 100.0
    assert isinstance(found["results_ttft_s_min"], float)
    assert found["results_num_requests_started"] == 2
    assert found["timestamp"] == 1_700_000_000


def test_metadata_replaces_any_key_and_only_the_timestamp_replaces_it() -> None:
    found = summarized(
        [entry()],
        metadata={"name": "mine", "results_error_rate": "0", "timestamp": "1", "box": "a"},
    )

    assert (found["name"], found["results_error_rate"], found["box"]) == ("mine", "0", "a")
    assert found["timestamp"] == 1_700_000_000
    assert list(found)[-1] == "timestamp"


def test_nested_sampling_parameters_are_joined_by_underscores() -> None:
    found = summarized([entry()], sampling={"a": {"b": 1, "c": {"d": 2}}})

    assert found["additional_sampling_params_a_b"] == 1
    assert found["additional_sampling_params_a_c_d"] == 2
