from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.models.infer import anatomy_of
from replicore.models.known import known_models


@pytest.mark.parametrize(
    "name",
    [
        "meta-llama/Llama-3.1-8B",
        "meta-llama/Llama-3.3-70B-Instruct",
        "meta-llama/Llama-2-13b-hf",
        "Qwen/Qwen3-32B",
        "Qwen/Qwen2.5-7B-Instruct",
        "mistralai/Mistral-7B-v0.3",
        "meta-llama/Llama-3.2-1B",
    ],
)
def test_shape_without_anatomy_is_taken_for_the_dense_model_that_it_is(name: str) -> None:
    shape = known_models()[name]
    assert shape.anatomy is not None
    inferred = anatomy_of(replace(shape, anatomy=None))

    assert inferred.intermediate == shape.anatomy.intermediate
    assert inferred.tied == shape.anatomy.tied
    assert inferred.parameters == pytest.approx(shape.anatomy.parameters, rel=1e-4)


@pytest.mark.parametrize("weight_bytes", [1, 10**6, 10**10, 10**12])
def test_inferred_anatomy_has_the_bytes_of_its_shape(weight_bytes: int) -> None:
    shape = known_models()["meta-llama/Llama-3.1-8B"]
    inferred = anatomy_of(replace(shape, anatomy=None, weight_bytes=weight_bytes))

    assert inferred.weight_bytes == weight_bytes


def test_gguf_without_anatomy_is_taken_for_about_five_bits_a_parameter() -> None:
    shape = known_models()["meta-llama/Llama-3.1-8B"]
    # Q4_K_M of Llama 3.1 8B
    quantised = replace(shape, anatomy=None, file_format="gguf", weight_bytes=4_920_000_000)

    assert anatomy_of(quantised).parameters == pytest.approx(8_030_261_248, rel=0.02)


def test_known_anatomy_is_returned_itself() -> None:
    shape = known_models()["Qwen/Qwen3-8B"]

    assert anatomy_of(shape) is shape.anatomy
