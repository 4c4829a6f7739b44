"""The workload against slots, lengths and caches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.lints.plans import FakeLayout, findings, only, problems

EXAMPLES = Path(__file__).parents[3] / "examples"
REMOTE = {
    "engine.kind": "remote",
    "layout.max_model_len": "auto",
    "workload.input_tokens": {"mean": 128},
    "workload.output_tokens": {"mean": 128},
}


def test_the_mended_tutorial_has_no_problem() -> None:
    found = findings(
        {"workload.concurrency": 8, "supervisor.start_timeout": "30m"},
        compiled={"layout.max_model_len": 8704, "layout.batch_size": 4, "layout.tp": 32},
    )

    assert problems(found) == []
    assert {finding.check for finding in found} == {
        "compiled-length",
        "request-lengths",
        "concurrency",
        "shard-weights",
        "heads",
    }


def test_requests_around_the_compiled_length_are_counted() -> None:
    finding = only(findings(layout=FakeLayout(max_model_len=8192)), "request-lengths")

    assert finding.level == "warning"
    assert "50 % of the requests of [workload] (input 7936±30 plus output 256±30)" in (
        finding.message
    )
    assert "a chat template's tokens" in finding.message
    assert finding.fix == "layout.max_model_len = 8704"


def test_a_length_that_holds_without_a_template_only_says_so() -> None:
    finding = only(findings(layout=FakeLayout(max_model_len=8360)), "request-lengths")

    assert finding.level == "ok"
    assert "1 in 28,000" in finding.message
    assert finding.message.endswith("do not count them: 1 in 380")


def test_where_the_model_is_no_longer_the_prompts_must_be_shorter() -> None:
    found = findings(layout=FakeLayout(max_model_len=8192), trained_for=8192)

    # 7936 - (8394 - 8192): 8394 tokens are exceeded by one request in a million
    assert only(found, "request-lengths").fix == "workload.input_tokens.mean = 7734"


def test_a_model_that_ends_between_two_rounded_lengths_is_used_whole() -> None:
    found = findings(layout=FakeLayout(max_model_len=8192), trained_for=8400)

    assert only(found, "request-lengths").fix == "layout.max_model_len = 8400"


def test_outputs_that_never_fit_ask_for_shorter_lengths() -> None:
    keys = {"workload.input_tokens": {"mean": 1}, "workload.output_tokens": {"mean": 8447}}
    found = findings(keys, layout=FakeLayout(max_model_len=8192), trained_for=8192)

    assert only(found, "request-lengths").fix.startswith("shorter workload.input_tokens")


def test_a_compiled_length_far_above_the_workload_is_a_warning() -> None:
    keys = {
        "workload.input_tokens": {"mean": 512, "stddev": 64},
        "workload.output_tokens": {"mean": 128},
    }
    finding = only(findings(keys), "unused-length")

    assert finding.level == "warning"
    # 512 + 4.75 x 64 + 128 = 944, and 50 for a template
    assert "hardly a request of [workload] (input 512±64 plus output 128) has more than 994" in (
        finding.message
    )
    assert finding.fix == "layout.max_model_len = 1024"


def test_unused_length_costs_nothing_where_the_kv_cache_grows_with_use() -> None:
    keys = {"engine.kind": "vllm", "workload.input_tokens": {"mean": 128}}

    assert "unused-length" not in problems(findings(keys, kind="cuda"))


@pytest.mark.parametrize(
    ("concurrency", "level", "expected"),
    [
        (8, "ok", "8 requests at a time are as many as the 8 slots (2 x batch_size 4)"),
        (2, "warning", "leave 6 idle, which cost as much as busy ones"),
        (10, "warning", "leave 2 waiting in the gateway"),
        (2000, "error", "the rest is answered with 429"),
    ],
)
def test_concurrency_is_compared_with_the_slots(
    concurrency: int, level: str, expected: str
) -> None:
    finding = only(findings({"workload.concurrency": concurrency}), "concurrency")

    assert (finding.level, expected in finding.message) == (level, True), finding.message


@pytest.mark.parametrize(
    ("cache", "level", "expected"),
    [
        ("4GiB", "ok", "4GiB hold 13107 tokens"),
        ("3GiB", "warning", "3GiB hold 9830 tokens, fewer than the 10000 that 4 mean requests"),
        ("2600MiB", "warning", "3GiB hold 9830 tokens"),
    ],
)
def test_the_kv_cache_on_a_cpu_is_compared_with_what_the_slots_ask(
    cache: str, level: str, expected: str
) -> None:
    # Llama 70B: 2 x 80 layers x 8 heads x 128 x 2 bytes = 320 KiB a token
    keys = {
        "engine.kind": "vllm",
        "engine.vllm.cpu_kv_cache": cache,
        "layout.max_model_len": 8192,
        "workload.input_tokens": {"mean": 2000},
        "workload.output_tokens": {"mean": 500},
        "supervisor.start_timeout": "1h",
    }
    found = findings(keys, kind="cpu", layout=FakeLayout(tp=1, max_model_len=8192))
    finding = only(found, "kv-cache")

    assert (finding.level, expected in finding.message) == (level, True), finding.message


def test_a_smaller_type_of_the_kv_cache_holds_more() -> None:
    keys = {
        "engine.kind": "vllm",
        "engine.args": ["--kv-cache-dtype", "fp8"],
        "engine.vllm.cpu_kv_cache": "2GiB",
        "supervisor.start_timeout": "1h",
    }
    found = findings(keys, kind="cpu", layout=FakeLayout(tp=1, batch_size=1))

    # 160 KiB a token
    assert "2GiB hold 13107 tokens" in only(found, "kv-cache").message


def test_prompts_are_compiled_for_a_length_that_flash_attention_takes() -> None:
    finding = only(findings(layout=FakeLayout(max_model_len=8448)), "flash-attention")

    assert finding.level == "warning"
    assert "8448 tokens, which is no multiple of 512" in finding.message
    assert finding.fix == "layout.max_model_len = 8704"


def test_length_of_the_example_is_one_that_flash_attention_takes() -> None:
    assert "flash-attention" not in {finding.check for finding in findings()}
