"""Against measured breakdowns: vLLM on H100, of planner_memory_rows.csv, with their row's name."""

from __future__ import annotations

import pytest

from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant
from replicore.planner.memory.vllm import (
    GRAPHS_BYTES,
    VllmLimits,
    max_concurrency,
    non_torch_bytes,
    refuse,
    usual_limits,
    vllm_rank,
)
from replicore.units import GIB

H100 = round(79.19 * GIB)
OLD = VllmLimits(version=(0, 11))
NEW = VllmLimits(version=(0, 19), utilisation=0.95)


def shape(name: str) -> ModelShape:
    found = find_variant(name)
    assert found is not None
    return found


def test_parts_of_a_rank_are_those_that_were_measured() -> None:
    # Y08: weights 14.99, activation 1.89, non-torch 0.25 to 0.27, KV 58.11 GiB
    memory = vllm_rank(shape("Llama-3.1-8B-Instruct"), tp=1, device_bytes=H100, limits=NEW)

    assert memory.weights / GIB == pytest.approx(14.99, rel=0.01)
    assert memory.activation / GIB == pytest.approx(1.89, rel=0.02)
    assert (memory.overhead - GRAPHS_BYTES) / GIB == pytest.approx(0.26)
    assert memory.kv / GIB == pytest.approx(58.11, rel=0.002)
    assert memory.kv_tokens == pytest.approx(476_016, rel=0.002)


def test_kv_cache_is_what_the_utilisation_leaves() -> None:
    memory = vllm_rank(shape("Qwen3-8B"), tp=1, device_bytes=H100, limits=NEW)
    other = memory.overhead - GRAPHS_BYTES

    pool = round(0.95 * H100) - memory.weights - memory.activation - other
    assert 0 <= pool - memory.kv < 16 * memory.kv_per_token
    assert memory.kv % (16 * memory.kv_per_token) == 0


def test_graphs_come_out_of_what_the_utilisation_spares() -> None:
    memory = vllm_rank(shape("Qwen3-8B"), tp=1, device_bytes=H100, limits=NEW)

    # 5 % of 79.19 GiB less 1 GiB of graphs, and less than a block that the pool has not
    assert memory.left / GIB == pytest.approx(0.05 * 79.19 - 1, abs=0.01)


def test_second_rank_halves_weights_and_kv_of_a_token_and_not_activation() -> None:
    one = vllm_rank(shape("Qwen3-32B"), tp=1, device_bytes=H100, limits=OLD)
    two = vllm_rank(shape("Qwen3-32B"), tp=2, device_bytes=H100, limits=OLD)

    assert two.weights == pytest.approx(one.weights / 2, rel=0.01)
    assert two.kv_per_token * 2 == one.kv_per_token
    assert two.activation == one.activation
    # Y06: 34.49 GiB
    assert two.kv / GIB == pytest.approx(34.49, rel=0.01)


def test_pipeline_stage_caches_the_tokens_of_its_own_layers() -> None:
    limits = VllmLimits(version=(0, 19), utilisation=0.95, pp=2)
    model = shape("Llama-3.1-8B")
    stage = vllm_rank(model, tp=1, device_bytes=H100, limits=limits)

    # 2 x 16 layers x 8 heads x 128 x 2 bytes
    assert stage.kv_per_token == 65_536
    both = max_concurrency(model, stage, tp=1, tokens=1000, limits=limits)
    assert both == pytest.approx(stage.kv_tokens / 1000)


def test_8_bit_cache_holds_twice_the_tokens_in_the_same_bytes() -> None:
    wide = vllm_rank(shape("Llama-3.1-8B"), tp=1, device_bytes=H100)
    narrow = vllm_rank(
        shape("Llama-3.1-8B"), tp=1, device_bytes=H100, limits=VllmLimits(kv_element_bytes=1.0)
    )

    assert narrow.kv_tokens == pytest.approx(2 * wide.kv_tokens, abs=16)


def test_long_sequences_with_a_window_take_less_than_their_tokens() -> None:
    model = shape("gemma-3-27b-it")
    memory = vllm_rank(model, tp=1, device_bytes=H100, limits=NEW)
    held = max_concurrency(model, memory, tp=1, tokens=32_768, limits=NEW)

    assert held > 4 * memory.kv_tokens / 32_768


@pytest.mark.parametrize(
    ("version", "ranks", "gib"),
    [((0, 11), 1, 0.13), ((0, 11), 2, 0.55), ((0, 19), 1, 0.26), ((1, 0), 4, 2.12)],
)
def test_non_torch_memory_is_that_of_the_version_and_of_several_ranks(
    version: tuple[int, int], ranks: int, gib: float
) -> None:
    assert non_torch_bytes(version, ranks) == round(gib * GIB)


def test_server_takes_more_at_once_on_large_devices_but_a100() -> None:
    assert usual_limits(80 * GIB) == (1024, 8192)
    assert usual_limits(80 * GIB, is_a100=True) == (256, 2048)
    assert usual_limits(48 * GIB) == (256, 2048)


def test_weights_that_leave_no_room_are_refused_with_what_is_missing() -> None:
    """Y02: "TP1 fails: weights 67.72, KV -1.44" GiB."""
    refusal = refuse(
        shape("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic"),
        tp=1,
        device_bytes=round(79.18 * GIB),
        max_model_len=16_000,
        limits=OLD,
    )

    assert refusal is not None
    assert refusal.short_bytes / GIB == pytest.approx(1.44, abs=0.05)
    assert "more than 90% of a device with 79.18 GiB" in refusal.reason


def test_sequence_that_is_longer_than_the_cache_is_refused_with_the_tokens_missing() -> None:
    """Y05: 16000 tokens ran, "max_model_len 32000 fails at TP1"."""
    model = shape("Qwen3-32B")
    refusal = refuse(model, tp=1, device_bytes=H100, max_model_len=32_000, limits=OLD)

    assert refuse(model, tp=1, device_bytes=H100, max_model_len=16_000, limits=OLD) is None
    assert refusal is not None
    # 4.45 GiB of 256 KiB a token: 18,227 tokens
    assert refusal.short_tokens == pytest.approx(32_000 - 18_227, rel=0.01)
    assert refusal.short_bytes == pytest.approx(refusal.short_tokens * 262_144, rel=0.01)
    assert "max_model_len = 32000" in refusal.reason


def test_split_that_vllm_cannot_make_is_refused_before_its_memory() -> None:
    """Y40: "padded vocabulary not divisible by 5"."""
    refusal = refuse(shape("Qwen3-14B"), tp=5, device_bytes=H100, max_model_len=16_000)

    assert refusal is not None
    assert "vocab_size = 151936, padded to 151936, is not divisible by tp = 5" in refusal.reason
    assert refusal.short_bytes == 0
