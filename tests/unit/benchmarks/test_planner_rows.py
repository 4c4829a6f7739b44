"""Published rows become observations, or say why they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.planner.rows import RowRefused, read_rows, row_of
from tests.unit.benchmarks.planner_values import values

RANDOM = "InferenceX-style random lengths (uniform 80-100% of nominal)"


def test_row_is_the_case_that_it_tells() -> None:
    case = row_of(values(tp=4, concurrency=32)).case
    assert (case.replica.device.key, case.replica.engine, case.replica.tp) == ("h100", "vllm", 4)
    assert case.replica.anatomy.parameters == 8_030_261_248
    assert (case.traffic.input_tokens, case.traffic.concurrency) == (1024, 32)


def test_times_are_in_seconds() -> None:
    seen = row_of(values(ttft_ms="250", tpot_ms="12.5")).measured
    assert (seen.ttft_s, seen.tpot_s) == (0.25, 0.0125)


def test_random_lengths_are_nine_tenths_of_the_nominal_ones() -> None:
    assert row_of(values(notes=RANDOM)).case.traffic.input_tokens == pytest.approx(921.6)


@pytest.mark.parametrize(
    ("engine", "precision", "model", "kv_bytes", "weights", "bits"),
    [
        ("vllm", "fp8/gemm=fp8", "meta-llama/Llama-3.1-70B", 2.0, "fp8", 8),
        ("trtllm", "fp8/gemm=fp8", "meta-llama/Llama-3.1-70B", 1.0, "fp8", 8),
        ("trtllm", "bf16", "meta-llama/Llama-3.1-70B", 2.0, "bf16", 16),
        ("vllm", "unspecified", "meta-llama/Llama-3.1-8B", 2.0, "bf16", 16),
        ("vllm", "int4/gemm=int4_wo", "meta-llama/Llama-3.1-8B", 2.0, "int4", 16),
        ("vllm", "fp4/gemm=nvfp4", "openai/gpt-oss-120b", 2.0, "mxfp4", 16),
    ],
)
def test_bytes_follow_from_the_text_the_engine_and_the_model(
    engine: str, precision: str, model: str, kv_bytes: float, weights: str, bits: int
) -> None:
    row = row_of(values(tp=8, engine=engine, precision=precision, model=model))
    found = row.case.replica
    assert found.precision.kv_bytes == kv_bytes
    assert found.anatomy.weights.name == weights
    assert found.precision.compute_bits == bits


def test_recipe_that_gathers_prompts_is_known() -> None:
    recipe: dict[str, Any] = {"engine": "trtllm", "notes": RANDOM, "precision": "fp8"}
    assert row_of(values(2, **recipe)).case.replica.wait_steps == 20
    assert row_of(values(8, **recipe)).case.replica.wait_steps == 0
    assert row_of(values(2, **{**recipe, "notes": ""})).case.replica.wait_steps == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"hardware": "Abacus 3000"}, "no data sheet of Abacus 3000"),
        ({"model": "nobody/nothing-1B"}, "no sizes of nobody/nothing-1B"),
        ({"model": ""}, "no sizes of an unnamed model"),
        ({"engine": "ollama"}, "no step model of engine ollama"),
        ({"concurrency": ""}, "no concurrency"),
        ({"concurrency": "many"}, "no concurrency"),
        ({"concurrency": "nan"}, "no concurrency"),
        ({"concurrency": "-4"}, "no concurrency"),
        ({"input_len": ""}, "no lengths"),
        ({"tp": "1.5"}, "no tp"),
        ({"pp": "2"}, "pipeline parallel"),
        ({"dp": "4"}, "several replicas behind one address"),
        ({"tp": "16"}, "tp spans machines of 8 h100"),
        ({"tpot_ms": "0"}, "no TPOT to compare with"),
        ({"load": "open-loop"}, "load is open-loop, not closed-loop"),
        ({"notes": "fused speculative decoding"}, "speculative decoding"),
        ({"ep_or_moe_note": "attention-DP=4; moe_tp=1"}, "attention is data parallel"),
        ({"model": "meta-llama/Llama-3.1-405B", "tp": "1"}, "weights do not fit the memory"),
    ],
)
def test_row_that_cannot_be_predicted_says_why(changed: dict[str, str], reason: str) -> None:
    row = row_of({**values(), **changed})
    assert row.observation is None
    assert row.refusal.startswith(reason)
    with pytest.raises(RowRefused):
        _ = row.measured


def test_columns_that_are_missing_are_reasons_too() -> None:
    assert row_of({}).refusal
    for name in values():
        row_of({key: text for key, text in values().items() if key != name})


def test_file_with_short_and_long_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeffrow_id,hardware,tp\nA1\nA2,H100,1,left,over\n\n", encoding="utf-8")
    assert [row.id for row in read_rows(path)] == ["A1", "A2"]
