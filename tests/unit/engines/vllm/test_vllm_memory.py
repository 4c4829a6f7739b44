from __future__ import annotations

import pytest

from replicore.engines.vllm.memory import (
    PROCESS_BYTES,
    cpu_kv_cache_gib,
    cpu_memory_bytes,
    device_memory_bytes,
    element_bytes,
    kv_bytes_per_token,
    weight_bytes,
)
from replicore.errors import ConfigError, InfeasiblePlan
from tests.unit.engines.vllm.plans import SHAPE

GIB = 2**30


def on_cpu(
    *, ranks: int = 2, dtype: str = "auto", kv_cache: int = 4 * GIB, max_model_len: int = 2048
) -> int:
    return cpu_memory_bytes(
        SHAPE,
        {},
        ranks=ranks,
        dtype=dtype,
        max_model_len=max_model_len,
        kv_cache=kv_cache,
    )


def on_devices(*, ranks: int = 1, batch_size: int = 4, max_model_len: int = 4096) -> int:
    return device_memory_bytes(
        SHAPE,
        {},
        ranks=ranks,
        dtype="auto",
        batch_size=batch_size,
        max_model_len=max_model_len,
    )


@pytest.mark.parametrize(
    ("dtype", "kv_cache_dtype", "size"),
    [
        ("auto", "auto", 2.0),
        ("bfloat16", "auto", 2.0),
        ("float32", "auto", 4.0),
        ("float", "auto", 4.0),
        ("bfloat16", "fp8_e5m2", 1.0),
        ("bfloat16", "nvfp4", 0.5),
    ],
)
def test_element_of_the_cache_follows_the_types(
    dtype: str, kv_cache_dtype: str, size: float
) -> None:
    assert element_bytes(dtype, {"--kv-cache-dtype": kv_cache_dtype}) == size


@pytest.mark.parametrize(
    ("dtype", "options", "size"),
    [
        ("auto", {}, 16_060_522_496),
        ("float32", {}, 2 * 16_060_522_496),
        ("auto", {"--quantization": "fp8"}, 8_030_261_248),
        ("auto", {"-q": "fp8"}, 8_030_261_248),
        ("auto", {"--quantization": "awq"}, 16_060_522_496),
        ("auto", {"--cpu-offload-gb": "2.5"}, 16_060_522_496 - 2 * 5 * 2**29),
        ("auto", {"--cpu-offload-gb": "100"}, 0),
    ],
)
def test_weights_of_two_ranks_follow_type_and_options(
    dtype: str, options: dict[str, str], size: int
) -> None:
    assert weight_bytes(SHAPE, dtype, options, 2) == size


@pytest.mark.parametrize("text", ["some", "inf"])
def test_offload_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f'--cpu-offload-gb: "{text}" is not a number'):
        weight_bytes(SHAPE, "auto", {"--cpu-offload-gb": text}, 1)


def test_heads_that_are_fewer_than_ranks_are_kept_more_than_once() -> None:
    # 2 x 32 layers x 8 heads x 128 x 2 bytes = 131,072 per token
    assert kv_bytes_per_token(SHAPE, 8, 2.0) == 131_072
    assert kv_bytes_per_token(SHAPE, 32, 2.0) == 4 * 131_072


@pytest.mark.parametrize(("size", "ranks", "each"), [(4, 1, 4), (4, 2, 2), (4, 3, 2), (1, 2, 1)])
def test_each_rank_takes_whole_gib(size: int, ranks: int, each: int) -> None:
    assert cpu_kv_cache_gib(size * GIB, ranks) == each


def test_memory_on_cpu_is_weights_and_cache_and_step_and_processes() -> None:
    # step: 2048 tokens x 16 x 4096 x 2 bytes = 268,435,456; API server, engine core, two ranks
    expected = 16_060_522_496 + 4 * GIB + 268_435_456 + 4 * PROCESS_BYTES

    assert on_cpu() == expected


def test_wide_type_on_cpu_doubles_weights_and_step() -> None:
    assert on_cpu(dtype="float32") - on_cpu() == 16_060_522_496 + 268_435_456


def test_cache_that_holds_no_whole_sequence_is_infeasible() -> None:
    # 131,072 tokens x 131,072 bytes = 16 GiB
    message = r"cpu_kv_cache: 4GiB holds 32768 tokens, .* = 131072; use 16GiB or more"
    with pytest.raises(InfeasiblePlan, match=message):
        on_cpu(max_model_len=131_072)


def test_cache_of_exactly_one_sequence_is_enough() -> None:
    assert on_cpu(max_model_len=32_768) == on_cpu()


def test_memory_on_a_device_is_weights_and_cache_and_step_and_workspace() -> None:
    # cache: 4096 tokens x 131,072; step: 8192 tokens x 16 x 4096 x 2
    expected = 16_060_522_496 + 4096 * 131_072 + 8192 * 16 * 4096 * 2 + 3 * GIB

    assert on_devices() == expected


def test_each_device_needs_its_own_workspace() -> None:
    assert on_devices(ranks=2) - on_devices() == 3 * GIB + 2**30


def test_slots_are_counted_with_usual_sequences_not_with_the_longest() -> None:
    # 256 slots of 1024 tokens, not of 32,768
    more = on_devices(batch_size=256, max_model_len=32_768) - on_devices()

    assert more == (256 * 1024 - 4096) * 131_072
