"""The terms, one by one, in cases that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.models.parts import Experts
from replicore.planner.step.replica import StaticBatch
from replicore.planner.step.terms import (
    TPOT_TERMS,
    TTFT_TERMS,
    kv_sequences,
    running,
    tpot_terms,
    ttft_terms,
)
from replicore.planner.step.traffic import Case
from tests.unit.planner.measured import LLAMA_8B, case


def tpot(one: Case) -> dict[str, float]:
    return dict(zip(TPOT_TERMS, tpot_terms(one), strict=True))


def ttft(one: Case, tpot_s: float = 0.01) -> dict[str, float]:
    return dict(zip(TTFT_TERMS, ttft_terms(one, tpot_s), strict=True))


def test_single_rank_has_no_collectives() -> None:
    assert tpot(case(tp=1))["hops"] == tpot(case(tp=1))["transfer"] == 0.0
    assert tpot(case(tp=8))["hops"] == pytest.approx(3 * 32 * 10e-6)


def test_kv_cache_is_read_for_all_sequences_at_their_mean_length() -> None:
    # 16 sequences of 1250 tokens, 131,072 bytes each, on 2 ranks of 3.35 TB/s.
    seconds = 16 * 1250 * 131_072 / 2 / 3.35e12
    assert tpot(case(2, 16))["kv"] == pytest.approx(seconds)


def test_prompts_in_between_are_those_of_the_other_sequences_that_end_in_a_step() -> None:
    once = tpot(case(2, 16, output_tokens=500))["prefill"]
    assert tpot(case(2, 16, output_tokens=250))["prefill"] == pytest.approx(2 * once)
    assert tpot(case(2, 31, output_tokens=500))["prefill"] == pytest.approx(2 * once)
    assert tpot(case(2, 1))["prefill"] == 0.0


def test_who_is_alone_waits_for_no_turn() -> None:
    assert ttft(case(2, 1))["turn"] == 0.0
    # Of two, each waits for a quarter of the other's decode of 500 steps of 10 ms.
    assert ttft(case(2, 2))["turn"] == pytest.approx(500 * 0.01 / 4)


def test_concurrency_beyond_the_kv_cache_waits() -> None:
    full = case(2, 40, kv_tokens=12_500.0)
    assert running(full) == pytest.approx(10.0)
    # Three times as many wait as run, each for a decode of 500 steps of 10 ms.
    assert ttft(full)["queue"] == pytest.approx(3 * 500 * 0.01)
    assert ttft(case(2, 40))["queue"] == 0.0


def test_trtllm_keeps_room_for_the_whole_output() -> None:
    assert kv_sequences(case(kv_tokens=15_000.0)) == pytest.approx(12.0)
    assert kv_sequences(case(kv_tokens=15_000.0, engine="trtllm")) == pytest.approx(10.0)


def test_kv_cache_of_less_than_one_sequence_runs_one() -> None:
    assert running(case(kv_tokens=100.0)) == 1.0


def test_first_token_waits_for_the_steps_that_the_engine_gathers_prompts() -> None:
    assert ttft(case())["step"] == pytest.approx(0.01)
    assert ttft(case(wait_steps=20))["step"] == pytest.approx(0.21)


def test_experts_are_read_by_how_many_are_used() -> None:
    experts = Experts(count=64, per_token=2, intermediate=1024, layers=32)
    sparse: dict[str, Any] = {"anatomy": _with(experts)}
    assert tpot(case(2, 1, **sparse))["weights"] < tpot(case(2, 64, **sparse))["weights"] / 5


def _with(experts: Experts) -> object:
    fields = {name: getattr(LLAMA_8B, name) for name in LLAMA_8B.__dataclass_fields__}
    return type(LLAMA_8B)(**{**fields, "experts": experts, "intermediate": 0})


def test_static_batch_has_terms_of_its_own() -> None:
    static = StaticBatch(batch_size=4, max_model_len=8192)
    alone, full = (tpot(case(2, users, static=static)) for users in (1, 4))
    assert alone["kv"] == full["kv"] > tpot(case(2, 1))["kv"]
    assert len(ttft_terms(case(static=static), 0.01)) == len(TTFT_TERMS)
