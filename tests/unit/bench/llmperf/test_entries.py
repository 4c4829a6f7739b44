"""Each mode's formulas, on one request with known times; see ``made.record``."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from replicore.bench.llmperf.entries import corrected_entry, strict_entry
from replicore.bench.llmperf.options import Mode
from replicore.bench.record import FailureKind
from tests.unit.bench.llmperf.made import failed, record

OLD = (Mode.V2, Mode.MAIN, Mode.NEURON)


def count(text: str) -> int:
    """As LLMPerf's tokenizer, which adds a token at the beginning: here, a token a word."""
    return 1 + len(text.split())


def test_keys_stand_in_the_order_of_llmperf() -> None:
    assert list(asdict(corrected_entry(record(), None))) == [
        "error_code",
        "error_msg",
        "inter_token_latency_s",
        "ttft_s",
        "end_to_end_latency_s",
        "request_output_throughput_token_per_s",
        "number_total_tokens",
        "number_output_tokens",
        "number_input_tokens",
    ]


@pytest.mark.parametrize(
    ("mode", "latency", "throughput"),
    [
        (Mode.V2, 1.0 / 4, 5 / 1.2),  # (TTFT + gaps) / T, K / e2e
        (Mode.MAIN, 1.0 / 5, 4 / 1.2),  # (TTFT + gaps) / K, T / e2e
        (Mode.NEURON, 0.5 / 3, 4 / 1.2),  # gaps / (T - 1), T / e2e
    ],
)
def test_old_mode_repeats_its_formulas(mode: Mode, latency: float, throughput: float) -> None:
    found = strict_entry(record(), mode, count)

    assert found.inter_token_latency_s == pytest.approx(latency)
    assert found.request_output_throughput_token_per_s == pytest.approx(throughput)
    assert found.ttft_s == pytest.approx(0.5)
    assert found.end_to_end_latency_s == pytest.approx(1.2)
    assert (found.number_input_tokens, found.number_output_tokens) == (100, 4)
    assert found.number_total_tokens == 104


def test_corrected_mode_counts_tokens_as_the_server_does() -> None:
    found = corrected_entry(record(), None)

    assert found.inter_token_latency_s == pytest.approx(0.5 / 7)
    assert found.request_output_throughput_token_per_s == pytest.approx(8 / 1.2)
    assert (found.number_input_tokens, found.number_output_tokens) == (104, 8)
    assert found.number_total_tokens == 112


def test_quotient_by_zero_is_null_but_zero_in_v2() -> None:
    empty = record(chunk_times_s=(), chunk_tokens=(), answer_s=None, events=0, text="")

    assert strict_entry(empty, Mode.V2, len).inter_token_latency_s == 0.0
    assert strict_entry(empty, Mode.MAIN, count).inter_token_latency_s is None
    assert strict_entry(empty, Mode.NEURON, count).inter_token_latency_s is None


def test_time_to_first_token_without_content_is_zero_in_old_modes_and_null_in_ours() -> None:
    empty = record(chunk_times_s=(), chunk_tokens=(), answer_s=None, output_tokens=0)

    assert [strict_entry(empty, mode, count).ttft_s for mode in OLD] == [0.0, 0.0, 0.0]
    assert corrected_entry(empty, None).ttft_s is None


def test_reasoning_is_no_content_for_the_old_modes() -> None:
    thinking = record(answer_s=10.7)

    assert strict_entry(thinking, Mode.MAIN, count).ttft_s == pytest.approx(0.7)
    assert corrected_entry(thinking, None).ttft_s == pytest.approx(0.5)


def test_answer_of_one_token_has_no_latency_between_tokens() -> None:
    one = record(chunk_times_s=(10.5,), chunk_tokens=(1.0,), output_tokens=1)

    assert corrected_entry(one, None).inter_token_latency_s is None


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        (FailureKind.HTTP, {"status": 429}, 429),
        (FailureKind.HTTP, {"status": 500}, 500),
        (FailureKind.CONNECT, {"status": None}, -1),
        (FailureKind.TIMEOUT, {}, -1),
        (FailureKind.CUT, {}, -1),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
def test_failure_has_the_code_of_llmperf_and_its_message(
    mode: Mode, kind: FailureKind, fields: dict[str, int | None], code: int
) -> None:
    bad = failed(kind, "no luck", **fields)
    found = corrected_entry(bad, None) if mode is Mode.CORRECTED else strict_entry(bad, mode, count)

    assert (found.error_code, found.error_msg) == (code, "no luck")
    assert found.end_to_end_latency_s == 0.0


def test_message_of_a_failure_without_one_is_its_kind() -> None:
    assert corrected_entry(failed(FailureKind.CUT, ""), None).error_msg == "cut"


def test_answer_without_usage_is_no_error_and_counted_by_the_tokenizer_or_by_events() -> None:
    bare = record(
        output_tokens=None,
        input_tokens=None,
        failure=failed(FailureKind.NO_USAGE).failure,
    )

    assert corrected_entry(bare, None).error_code is None
    assert corrected_entry(bare, None).number_output_tokens == 3
    assert corrected_entry(bare, lambda text: len(text)).number_output_tokens == 13
    assert corrected_entry(bare, None).number_input_tokens == 100
    assert strict_entry(bare, Mode.MAIN, count).error_code is None
