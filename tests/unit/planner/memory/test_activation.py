from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.models.anatomy import Anatomy
from replicore.models.infer import anatomy_of
from replicore.models.variants import find_variant
from replicore.planner.memory.activation import (
    SAMPLER_SINCE_0_17,
    SAMPLER_UNTIL_0_16,
    activation_bytes,
    expert_bytes_per_token,
    sampler_of,
)
from replicore.units import GIB


def anatomy(name: str) -> Anatomy:
    shape = find_variant(name)
    assert shape is not None
    return anatomy_of(shape)


# Measured on H100 with vLLM 0.19, 1024 sequences and 8192 tokens; the least tp that holds them
MEASURED = [
    ("Llama-3.1-8B", 1, 1.89),
    ("Qwen2.5-7B-Instruct", 2, 2.21),
    ("CodeLlama-7b", 1, 0.77),
    ("phi-2", 1, 0.79),
    ("gemma3-27b", 1, 3.99),
    ("Llama3.3-70B", 2, 1.96),
    ("Mixtral-8x7B", 2, 1.21),
    ("Qwen3-30B-A3B", 1, 2.68),
    ("Llama-4-Scout", 4, 3.19),
    ("DeepSeek-V2-Lite", 1, 1.93),
]


@pytest.mark.parametrize(("name", "tp", "gib"), MEASURED)
def test_activation_is_within_a_tenth_of_what_was_measured(name: str, tp: int, gib: float) -> None:
    size = activation_bytes(anatomy(name), tp=tp, sequences=1024, tokens=8192)

    assert size / GIB == pytest.approx(gib, rel=0.1)


def test_sampling_needs_its_bytes_for_every_logit_and_hidden_value() -> None:
    model = anatomy("Llama-3.1-8B")

    expected = 14.8 * 1024 * 128_256 + 3.4 * 8192 * 4096
    assert activation_bytes(model, tp=1, sequences=1024, tokens=8192) == round(expected)
    assert activation_bytes(model, tp=8, sequences=1024, tokens=8192) == round(expected)


def test_narrow_vocabulary_leaves_the_peak_to_the_mlp() -> None:
    # Code Llama 7B: 8192 tokens x 2 bytes x (3 x 11008 + 4 x 4096)
    model = anatomy("CodeLlama-7b")

    size = activation_bytes(model, tp=1, sequences=1024, tokens=8192)
    assert size == 8192 * 2 * (3 * 11_008 + 4 * 4096)
    assert activation_bytes(model, tp=2, sequences=1024, tokens=8192) < size


def test_workspace_of_experts_is_on_top_of_sampling() -> None:
    # Mixtral on two ranks, 2 bytes x (2 (max(14336, 4096) + 7168) + 4096)
    model = anatomy("Mixtral-8x7B")

    assert expert_bytes_per_token(model, 2) == 2 * (2 * (14_336 + 7168) + 4096)
    without = replace(model, experts=None, intermediate=0)
    workspace = 8192 * expert_bytes_per_token(model, 2)
    more = activation_bytes(model, tp=2, sequences=1024, tokens=8192)
    assert more == activation_bytes(without, tp=2, sequences=1024, tokens=8192) + workspace


def test_no_more_sequences_are_sampled_than_there_are_tokens() -> None:
    model = anatomy("Llama-3.1-8B")

    few = activation_bytes(model, tp=1, sequences=1024, tokens=64)
    assert few == activation_bytes(model, tp=1, sequences=64, tokens=64)


@pytest.mark.parametrize(("name", "gib"), [("Qwen3-0.6B", 5.56), ("openai/gpt-oss-20b", 7.38)])
def test_versions_before_0_17_set_more_aside(name: str, gib: float) -> None:
    size = activation_bytes(
        anatomy(name), tp=1, sequences=1024, tokens=8192, sampler=sampler_of((0, 11))
    )

    assert size / GIB == pytest.approx(gib, rel=0.01)


def test_sampler_is_that_of_the_version() -> None:
    assert sampler_of((0, 16)) == SAMPLER_UNTIL_0_16
    assert sampler_of((0, 17)) == sampler_of((1, 0)) == SAMPLER_SINCE_0_17
