"""What a model becomes when it is compiled for so many ranks."""

from __future__ import annotations

import pytest

from replicore.models.anatomy import Anatomy
from replicore.models.infer import anatomy_of
from replicore.models.variants import find_variant
from replicore.planner.step.compiled import compiled_anatomy, prefilled_anatomy, selected_parameters


def anatomy(name: str) -> Anatomy:
    shape = find_variant(name)
    assert shape is not None
    return anatomy_of(shape)


def test_ranks_that_divide_the_heads_leave_a_dense_model_as_it_is() -> None:
    llama = anatomy("Llama-3.3-70B")
    assert all(compiled_anatomy(llama, tp) == llama for tp in (1, 8, 16, 64))


def test_query_heads_are_padded_to_a_multiple_of_the_ranks() -> None:
    compiled = compiled_anatomy(anatomy("Llama-2-7b"), 24)
    assert compiled.heads == 48


def test_keys_get_as_many_heads_as_padded_queries() -> None:
    # 32 query heads on 24 ranks: 48, and the 8 key/value heads become 48 too.
    assert compiled_anatomy(anatomy("Llama-3-8B"), 24).kv_heads == 48


def test_padded_heads_are_read_like_others() -> None:
    llama = anatomy("Llama-2-70b")
    padded = compiled_anatomy(llama, 24)
    assert padded.bytes_read(1, 24) > 1.1 * llama.bytes_read(1, 24)


@pytest.mark.parametrize(
    ("tp", "width"),
    [
        (4, 1024),  # 768 / 4 = 192, which takes 2 x 128 lanes
        (8, 1024),  # 96 on 128
        (32, 4096),  # 24 on 128
    ],
)
def test_the_slice_of_an_expert_is_padded_to_whole_lanes(tp: int, width: int) -> None:
    experts = compiled_anatomy(anatomy("Qwen3-30B-A3B"), tp).experts
    assert experts is not None
    assert experts.intermediate == width


def test_a_prompt_goes_through_every_expert() -> None:
    qwen = anatomy("Qwen3-30B-A3B")
    prefilled = prefilled_anatomy(qwen)
    assert prefilled.active_parameters == prefilled.parameters > 8 * qwen.active_parameters


def test_a_dense_model_prefills_as_it_is() -> None:
    llama = anatomy("Llama-3-8B")
    assert prefilled_anatomy(llama) is llama


def test_one_token_selects_its_share_of_the_experts() -> None:
    qwen = anatomy("Qwen3-30B-A3B")
    # 48 layers, 8 experts of 3 matrices of 2048 x 768, over 8 ranks
    assert selected_parameters(qwen, 8) == pytest.approx(48 * 8 * 3 * 2048 * 768 / 8)


def test_a_dense_model_has_no_experts_to_select() -> None:
    assert selected_parameters(anatomy("Llama-3-8B"), 8) == 0
