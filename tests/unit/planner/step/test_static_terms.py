"""The terms of a batch that is compiled in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.hardware.devices import devices
from replicore.models.infer import anatomy_of
from replicore.models.variants import find_variant
from replicore.planner.prediction import static_priors
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica, StaticBatch
from replicore.planner.step.terms import TPOT_TERMS, TTFT_TERMS, tpot_terms, ttft_terms
from replicore.planner.step.traffic import Case, Traffic

SERVED = StaticBatch(batch_size=4, max_model_len=8192, prompt_tokens=8192)


def case(
    *,
    static: StaticBatch = SERVED,
    concurrency: float = 4,
    tp: int = 16,
    model: str = "Llama-3.3-70B",
    output_tokens: float = 256,
) -> Case:
    shape = find_variant(model)
    assert shape is not None
    replica = Replica(
        device=devices()["trn2"],
        engine="neuron",
        anatomy=anatomy_of(shape),
        precision=Precision(),
        tp=tp,
        static=static,
    )
    traffic = Traffic(input_tokens=7936, output_tokens=output_tokens, concurrency=concurrency)
    return Case(replica=replica, traffic=traffic)


def tpot(of: Case) -> dict[str, float]:
    return dict(zip(TPOT_TERMS, tpot_terms(of), strict=True))


def ttft(of: Case, tpot_s: float = 0.03) -> dict[str, float]:
    return dict(zip(TTFT_TERMS, ttft_terms(of, tpot_s), strict=True))


def test_a_step_reads_the_whole_cache_that_was_compiled_in() -> None:
    # 80 layers, a key and a value of 128 numbers of 2 bytes, 4 x 8192 tokens, 725 GB/s
    expected = 80 * 2 * 128 * 2 * 4 * 8192 / 725e9
    assert tpot(case())["kv"] == pytest.approx(expected)


def test_a_step_of_one_sequence_takes_as_long_as_a_full_one() -> None:
    alone, full = tpot(case(concurrency=1)), tpot(case(concurrency=4))
    of_prompts = {"prefill", "transfer"}
    assert all(alone[name] == full[name] for name in TPOT_TERMS if name not in of_prompts)


def test_a_lone_request_waits_for_no_prompt() -> None:
    assert tpot(case(concurrency=1))["prefill"] == 0


def test_each_of_the_others_brings_a_prompt_per_output() -> None:
    two, four = (tpot(case(concurrency=n))["prefill"] for n in (2, 4))
    assert four == pytest.approx(3 * two)
    assert tpot(case(concurrency=4, output_tokens=512))["prefill"] == pytest.approx(four / 2)


def test_requests_beyond_the_slots_do_not_decode() -> None:
    assert tpot(case(concurrency=4)) == tpot(case(concurrency=40))


def test_a_batch_that_begins_together_is_not_interrupted_and_has_no_server() -> None:
    terms = tpot(case(static=replace(SERVED, together=True)))
    assert (terms["prefill"], terms["sequences"], terms["fixed"]) == (0, 0, 0)


def test_launches_do_not_shrink_with_the_ranks_and_hops_grow() -> None:
    narrow, wide = tpot(case(tp=16)), tpot(case(tp=64))
    assert wide["launch"] == narrow["launch"]
    assert wide["hops"] == pytest.approx(narrow["hops"] * 6 / 4)


def test_one_rank_has_no_collective() -> None:
    terms = tpot(case(tp=1))
    assert (terms["hops"], terms["transfer"]) == (0, 0)


def test_every_slot_loads_its_own_experts() -> None:
    at = [replace(SERVED, batch_size=slots) for slots in (1, 2, 4)]
    one, two, four = (tpot(case(static=each, model="Qwen3-30B-A3B"))["weights"] for each in at)
    assert four - two == pytest.approx(2 * (two - one))


def test_layers_with_experts_launch_twice_as_much() -> None:
    terms = tpot(case(model="Qwen3-30B-A3B"))
    assert terms["launch"] == pytest.approx(2 * 48 * 50e-6)


def test_prompts_are_padded_to_the_length_that_they_are_compiled_for() -> None:
    longer = replace(SERVED, prompt_tokens=16_384)
    assert ttft(case(static=longer))["prompt"] > 2 * ttft(case())["prompt"]
    unpadded = ttft(case(static=replace(SERVED, prompt_tokens=None)))["prompt"]
    assert unpadded < ttft(case())["prompt"]


def test_the_first_token_of_a_batch_that_begins_together_comes_after_all_prompts() -> None:
    alone = ttft(case(static=replace(SERVED, together=True), concurrency=1))
    full = ttft(case(static=replace(SERVED, together=True), concurrency=4))
    assert full["prompt"] == pytest.approx(4 * alone["prompt"])
    assert full["step"] == 0


def test_requests_beyond_the_slots_queue_for_as_long_as_others_decode() -> None:
    assert ttft(case(concurrency=4))["queue"] == 0
    assert ttft(case(concurrency=12), 0.03)["queue"] == pytest.approx(2 * 256 * 0.03)


def test_the_beliefs_are_in_the_order_of_the_terms() -> None:
    assert tuple(static_priors.TPOT_TABLE) == TPOT_TERMS
    assert tuple(static_priors.TTFT_TABLE) == TTFT_TERMS
