"""What a replica asks of its cores, in data-sheet seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.models.parts import Experts
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica, ReplicaCost

LLAMA_70B = Anatomy(
    layers=80,
    hidden=8192,
    heads=64,
    kv_heads=8,
    head_dim=128,
    vocab=128_256,
    intermediate=28_672,
)


WIDE = Precision(weight_bytes=2.0)


def replica(tp: int = 8, *, anatomy: Anatomy = LLAMA_70B, precision: Precision = WIDE) -> Replica:
    return Replica(
        device=devices()["h100"],
        engine="vllm",
        anatomy=anatomy,
        precision=precision,
        tp=tp,
    )


def test_reading_the_weights_takes_their_bytes_over_the_bandwidth_of_all_ranks() -> None:
    cost = ReplicaCost(replica(tp=8))
    parameters = LLAMA_70B.parameters - LLAMA_70B.vocab * LLAMA_70B.hidden  # but the embedding
    assert cost.weights_s(1) == pytest.approx(2 * parameters / (8 * 3.35e12), rel=1e-3)


def test_eight_bit_weights_are_read_in_half_the_time_but_for_the_output_layer() -> None:
    half = ReplicaCost(replica(precision=Precision(weight_bytes=1.0))).weights_s(1)
    whole = ReplicaCost(replica()).weights_s(1)
    assert 0.50 < half / whole < 0.52


def test_experts_are_read_as_more_sequences_choose_them() -> None:
    experts = Experts(count=8, per_token=2, intermediate=14_336, layers=80)
    cost = ReplicaCost(replica(anatomy=replace(LLAMA_70B, experts=experts)))
    assert cost.weights_s(1) < cost.weights_s(4) < cost.weights_s(64)
    assert cost.weights_s(64) == pytest.approx(cost.weights_s(1000), rel=1e-3)


def test_the_kv_cache_of_a_rank_stops_shrinking_at_one_head_per_rank() -> None:
    at_4, at_8, at_16 = (ReplicaCost(replica(tp=tp)).kv_s(1, 1000) for tp in (4, 8, 16))
    assert at_4 == pytest.approx(2 * at_8)
    assert at_16 == at_8


def test_a_prompt_takes_more_than_its_products_by_what_attends_to_what() -> None:
    cost = ReplicaCost(replica())
    short, long = cost.prompt_s(1000), cost.prompt_s(10_000)
    assert 10 * short < long < 12 * short


def test_a_prompt_leaves_the_output_layer_to_its_last_token() -> None:
    cost = ReplicaCost(replica())
    assert cost.prompt_s(1000) < cost.compute_s(1000)


def test_one_core_sends_nothing() -> None:
    assert ReplicaCost(replica(tp=1)).transfer_s(100) == 0.0


def test_a_ring_sends_twice_the_activations_but_for_the_own_part() -> None:
    cost = ReplicaCost(replica(tp=8))
    per_token = 2 * 80 * 8192 * 2 * (2 * 7 / 8)
    assert cost.transfer_s(10) == pytest.approx(10 * per_token / 450e9)


def test_narrow_arithmetic_is_faster_where_the_device_has_it() -> None:
    eight = ReplicaCost(replica(precision=Precision(compute_bits=8))).compute_s(1)
    sixteen = ReplicaCost(replica()).compute_s(1)
    assert eight == pytest.approx(sixteen * 989 / 1979)
