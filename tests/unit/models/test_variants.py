from __future__ import annotations

import csv
from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.models.formats import FORMATS, in_format
from replicore.models.known import find_known
from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant

ROWS = Path(__file__).parents[4] / "shared" / "data" / "planner_rows.csv"


def known(name: str) -> ModelShape:
    shape = find_known(name)
    assert shape is not None
    return shape


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("meta/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        ("nvidia/Llama-3.3-70B", "meta-llama/Llama-3.3-70B-Instruct"),
        ("Llama3.3-70B", "meta-llama/Llama-3.3-70B-Instruct"),
        ("Llama-2-70b", "meta-llama/Llama-2-70b-hf"),
        ("llama2-70b", "meta-llama/Llama-2-70b-hf"),
        ("Llama-3-8B", "meta-llama/Meta-Llama-3-8B"),
        ("llama3.1-405b", "meta-llama/Llama-3.1-405B"),
        ("mixtral-8x7b", "mistralai/Mixtral-8x7B-v0.1"),
        ("Mistral-Small-24B", "mistralai/Mistral-Small-24B-Base-2501"),
        ("gemma3-27b", "google/gemma-3-27b-it"),
        ("Llama-4-Scout", "meta-llama/Llama-4-Scout-17B-16E"),
        ("zhipuai/GLM-5", "zai-org/GLM-5"),
        ("DeepSeek-V3-0324 (671B)", "deepseek-ai/DeepSeek-V3"),
        ("somebody/my_Qwen3-14B-Instruct-chat", None),
        ("deepseek-r1", "deepseek-ai/DeepSeek-R1"),
    ],
)
def test_variant_is_found_by_the_words_that_tell_the_model(
    name: str, repository: str | None
) -> None:
    assert find_variant(name) == (known(repository) if repository else None)


@pytest.mark.parametrize("name", ["qwen3", "gpt-oss", "Llama", "Qwen3-9000B", "x", "-", "", "fp8"])
def test_name_that_may_be_of_several_sizes_or_none_is_not_found(name: str) -> None:
    assert find_variant(name) is None


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "fp8"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "fp8"),
        ("amd/Llama-3.1-405B-Instruct-FP8-KV", "fp8"),
        ("Qwen/Qwen3-32B-AWQ", "int4"),
        ("nvidia/Qwen3-235B-A22B-NVFP4", "nvfp4"),
        ("Qwen/Qwen3-32B", "bf16"),
    ],
)
def test_variant_has_weights_in_the_format_that_its_name_tells(name: str, weights: str) -> None:
    shape = find_variant(name)

    assert shape is not None
    assert shape.anatomy is not None
    assert shape.anatomy.weights.name == weights
    assert shape.weight_bytes == shape.anatomy.weight_bytes


def test_catalogue_stays_strict_about_names() -> None:
    assert find_known("nvidia/Llama-3.3-70B-Instruct-FP8") is None


def test_model_in_8_bits_keeps_16_in_embedding_and_head() -> None:
    # Llama 3.1 8B: 1,050,673,152 of embedding and head, 266,240 of norms, the rest in one byte
    shape = in_format(known("meta-llama/Llama-3.1-8B"), "FP8")

    assert shape.weight_bytes == 8_030_261_248 + 1_050_673_152 + 266_240


def test_model_that_is_smaller_already_stays_as_it_is() -> None:
    gpt_oss = known("openai/gpt-oss-20b")

    assert in_format(gpt_oss, "fp8") is gpt_oss
    assert in_format(gpt_oss, "mxfp4") is gpt_oss


def test_4_bits_leave_latent_attention_as_it_is() -> None:
    anatomy = in_format(known("deepseek-ai/DeepSeek-R1"), "nvfp4").anatomy

    assert anatomy is not None
    assert {part for part, _ in anatomy.weights.quantised} == {"mlp", "experts", "shared"}


def test_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r'"fp7" is no format \("bf16", "fp32", "fp8"'):
        in_format(known("Qwen/Qwen3-8B"), "fp7")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_told_by_its_name(name: str) -> None:
    assert FORMATS[name].name == name


@pytest.mark.skipif(not ROWS.exists(), reason=f"{ROWS.name} is not in ../shared/data")
def test_every_model_of_the_published_rows_but_one_is_known() -> None:
    with ROWS.open(newline="", encoding="utf-8") as file:
        names = {row["model"] for row in csv.DictReader(file)}

    # A hybrid of a kind that the anatomy does not have: layers of one mixer or one MLP each
    assert {name for name in names if find_variant(name) is None} == {"nvidia/Nemotron-Nano-30B"}
