"""The parts of a Neuron core's and a CPU's memory, against the engines' own sums."""

from __future__ import annotations

import pytest

from replicore.engines.llamacpp_memory import replica_memory_bytes as llamacpp_bytes
from replicore.engines.neuron.memory import replica_memory_bytes as neuron_bytes
from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant
from replicore.planner.memory import neuron, shared
from replicore.planner.memory.rank import RankMemory
from replicore.spec import NeuronSpec
from replicore.units import GIB, MIB


def shape(name: str) -> ModelShape:
    found = find_variant(name)
    assert found is not None
    return found


def neuron_core(model: str, *, tp: int, batch_size: int, length: int) -> RankMemory:
    return neuron.neuron_rank(
        shape(model),
        NeuronSpec(),
        tp=tp,
        lnc=2,
        batch_size=batch_size,
        max_model_len=length,
        core_bytes=24 * GIB,
    )


def test_neuron_core_needs_the_engines_own_sum() -> None:
    memory = neuron_core("Llama-3.3-70B-Instruct", tp=16, batch_size=4, length=8192)
    needed = neuron_bytes(
        shape("Llama-3.3-70B-Instruct"),
        NeuronSpec(),
        tp=16,
        lnc=2,
        batch_size=4,
        max_model_len=8192,
        paged=False,
    )

    assert memory.needed == needed // 16
    assert memory.left == 24 * GIB - needed // 16


def test_neuron_core_allocates_the_compiled_length_for_every_slot() -> None:
    # 2 x 80 layers x 1 head x 128 x 2 bytes = 40 KiB a token, though 16 cores share 8 heads
    one = neuron_core("Llama-3.3-70B-Instruct", tp=16, batch_size=1, length=8192)
    four = neuron_core("Llama-3.3-70B-Instruct", tp=16, batch_size=4, length=8192)

    assert one.kv_per_token == 40_960
    assert one.kv == 8192 * 40_960
    assert (four.kv, four.kv_tokens) == (4 * one.kv, 4 * 8192)
    assert four.weights == one.weights


def test_neuron_core_that_is_too_small_is_refused_with_what_is_missing() -> None:
    memory = neuron_core("Llama-3.3-70B-Instruct", tp=4, batch_size=1, length=8192)
    refusal = neuron.refuse(memory, batch_size=1, max_model_len=8192)

    assert refusal is not None
    assert refusal.short_bytes == memory.needed - 24 * GIB
    assert "of a core's 24.0 GiB" in refusal.reason
    enough = neuron_core("Llama-3.3-70B-Instruct", tp=16, batch_size=1, length=8192)
    assert neuron.refuse(enough, batch_size=1, max_model_len=8192) is None


def test_neuron_prompt_without_flash_attention_works_with_all_its_scores() -> None:
    # 64 heads on 16 cores x 8100^2 x 2 bytes; with flash attention 8192 has none of them
    plain = neuron_core("Llama-3.3-70B-Instruct", tp=16, batch_size=1, length=8100)
    flash = neuron_core("Llama-3.3-70B-Instruct", tp=16, batch_size=1, length=8192)

    assert (plain.activation, flash.activation) == (4 * 8100**2 * 2, 0)


def cpu_replica(replicas: int, memory_bytes: int) -> RankMemory:
    return shared.llamacpp_replica(
        shape("builtin:smollm2-135m"),
        tp=1,
        batch_size=4,
        max_model_len=2048,
        memory_bytes=memory_bytes,
        replicas=replicas,
    )


def test_cpu_replica_needs_the_engines_own_sum() -> None:
    memory = cpu_replica(1, 8 * GIB)
    needed = llamacpp_bytes(
        shape("builtin:smollm2-135m"), tp=1, batch_size=4, max_model_len=2048, options={}
    )

    assert memory.needed == needed
    # 4 slots x 2048 tokens of 2 x 30 layers x 3 heads x 64 x 2 bytes
    assert memory.kv == 4 * 2048 * 23_040


@pytest.mark.parametrize(("replicas", "fits"), [(2, True), (3, True), (4, False)])
def test_cpu_replicas_share_one_memory(replicas: int, fits: bool) -> None:
    each = cpu_replica(1, 8 * GIB).needed
    refusal = shared.refuse(cpu_replica(replicas, 3 * each + MIB), replicas=replicas)

    assert (refusal is None) == fits
    if refusal is not None:
        assert refusal.short_bytes == pytest.approx(each - MIB, abs=replicas)
        assert "3 fit" in refusal.reason


def test_rank_without_a_cache_holds_no_tokens() -> None:
    memory = RankMemory(capacity=10, weights=20, kv=-10, kv_per_token=1, activation=0, overhead=0)

    assert (memory.kv_tokens, memory.needed, memory.left) == (0, 10, 0)
