"""The summary, the responses and the printed lines of the correctness check."""

from __future__ import annotations

import json

from replicore.bench.llmperf.correctness_report import (
    correctness_lines,
    correctness_responses,
    correctness_summary,
)
from replicore.bench.llmperf.questions import answers
from replicore.bench.record import FailureKind
from tests.unit.bench.llmperf.made import failed, record, run_options

OPTIONS = run_options(concurrency=2, sampling={"top_k": 1}, metadata={"box": "b1"})
FOUND = answers(
    [1234, 1234, 50],
    [
        record(index=0, text="1,234", replica="a"),
        record(index=1, text="1243\nor so", replica="b"),
        failed(FailureKind.HTTP, "status 500: boom", index=2, status=500, replica="a"),
    ],
)


def test_summary_has_the_keys_of_llmperf_in_their_order() -> None:
    found = correctness_summary(OPTIONS, FOUND, stem="tiny_correctness", timestamp=7)

    assert found == {
        "version": "2023-08-31",
        "name": "tiny_correctness_summary",
        "number_errors": 1,
        "num_mismatched_requests": 1,
        "error_rate": 1 / 3,
        "mismatch_rate": 1 / 3,
        "num_completed_requests": 3,
        "num_non_errored_requests": 2,
        "model": "tiny",
        "num_concurrent_requests": 2,
        "additional_sampling_params_top_k": 1,
        "llm_api": "openai",
        "box": "b1",
        "timestamp": 7,
    }
    assert list(found)[-1] == "timestamp"


def test_summary_of_no_request_has_rates_of_zero() -> None:
    found = correctness_summary(OPTIONS, [], stem="s", timestamp=7)

    assert (found["error_rate"], found["mismatch_rate"]) == (0.0, 0.0)


def test_response_says_what_was_asked_what_came_and_from_whom() -> None:
    [first, *_] = json.loads(json.dumps(correctness_responses(OPTIONS, FOUND)))

    assert list(first) == ["metrics", "generated_text", "request_config"]
    assert first["metrics"]["error_code"] is None
    assert first["generated_text"] == "1,234"
    config = first["request_config"]
    assert list(config) == ["model", "prompt", "sampling_params", "llm_api", "metadata"]
    assert config["sampling_params"] == {"temperature": 0.0, "top_k": 1}
    assert config["metadata"] == {"rnd_number": 1234, "replica": "a"}


def test_lines_name_what_is_wrong_then_the_totals_then_each_replica() -> None:
    assert list(correctness_lines(OPTIONS, FOUND)) == [
        "Mismatched and errored requests.",
        "    mismatched request: 1243 or so, expected: 1234",
        "    The request errored: 500, status 500: boom ",
        "",
        "Results for llm correctness test for tiny queried with the openai api.",
        f"Errors: 1, Error rate: {1 / 3}",
        f"Mismatched: 1, Mismatch rate: {1 / 3}",
        "Completed: 3",
        "Completed without errors: 2",
        "",
        "a: 2 asked, 0 mismatched, 1 errors, 1 unlike other replicas (1234)",
        "b: 1 asked, 1 mismatched, 0 errors, 1 unlike other replicas (1234)",
    ]


def test_many_differing_numbers_are_cut_short() -> None:
    numbers = [n for n in range(7) for _ in "ab"]
    records = [
        record(index=i, text=f"{numbers[i] + i % 2}", replica="ab"[i % 2]) for i in range(14)
    ]
    [*_, last] = correctness_lines(OPTIONS, answers(numbers, records))

    assert (
        last == "b: 7 asked, 7 mismatched, 0 errors, 7 unlike other replicas (0, 1, 2, 3, 4, ...)"
    )
