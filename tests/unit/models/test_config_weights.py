from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from replicore.models.config_values import ConfigValues
from replicore.models.config_weights import read_weight_format
from replicore.models.parts import WeightFormat
from replicore.models.read import read_shape
from tests.unit.models.model_files import LLAMA, write_folder

COMPRESSED_INT4 = {
    "quant_method": "compressed-tensors",
    "config_groups": {
        "group_0": {
            "weights": {
                "num_bits": 4,
                "type": "int",
                "strategy": "group",
                "group_size": 32,
                "symmetric": True,
            }
        }
    },
}


def weight_format(table: Mapping[str, Any], *, is_mixture: bool = False) -> WeightFormat:
    values = ConfigValues(Path("config.json"), {**LLAMA, "quantization_config": table})
    return read_weight_format(values, layers=8, is_mixture=is_mixture)


@pytest.mark.parametrize(
    ("table", "name", "size", "group"),
    [
        ({"quant_method": "fp8"}, "fp8", 1.0, 1),
        # a scale of 4 bytes for 128 x 128 values
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 1.000244140625, 128),
        # 4 bits, and 2 bytes of scale and 4 bits of zero point for 128 values
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq4", 0.51953125, 128),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, "gptq4", 0.578125, 32),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "gptq8", 1.0, 1),
        ({"quant_method": "mxfp4"}, "mxfp4", 0.53125, 32),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", 0.5625, 16),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8", 1.0, 1),
        # symmetric: no zero point
        (COMPRESSED_INT4, "int4", 0.5625, 32),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", 1.0, 1),
    ],
)
def test_bytes_of_a_parameter_have_its_share_of_the_scales(
    table: Mapping[str, Any], name: str, size: float, group: int
) -> None:
    weights = weight_format(table)

    assert (weights.name, weights.group) == (name, group)
    assert weights.bytes_of("mlp") == size
    assert (weights.bytes_of("embedding"), weights.bytes_of("norms")) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("exceptions", "plain"),
    [
        (["re:.*self_attn.*", "lm_head"], {"attention", "kv", "latent"}),
        ([f"model.layers.{i}.self_attn*" for i in range(8)], {"attention", "kv", "latent"}),
        (["*.mlp.shared_expert.*"], {"shared"}),
        (["model.layers.0.self_attn*"], set()),
        (["re:("], set()),
        (["re:.*mlp\\.(gate|up|gate_up|down)_proj.*", "re:.*shared_experts.*"], {"mlp", "shared"}),
    ],
)
def test_parts_that_a_file_excepts_keep_16_bits(exceptions: list[str], plain: set[str]) -> None:
    weights = weight_format({"quant_method": "fp8", "ignore": exceptions})
    parts = ("attention", "kv", "latent", "linear", "mlp", "experts", "shared")

    assert {part for part in parts if weights.bytes_of(part) == 2.0} == plain


def test_mxfp4_of_a_mixture_is_of_its_experts() -> None:
    weights = weight_format({"quant_method": "mxfp4"}, is_mixture=True)

    assert weights.quantised == (("experts", 0.53125),)


@pytest.mark.parametrize(
    "table",
    [
        {"quant_method": "something new"},
        {"quant_method": "compressed-tensors", "config_groups": []},
        {"quant_method": "awq", "bits": "four"},
        {"quant_method": None},
    ],
)
def test_unknown_quantisation_is_counted_as_16_bits(table: Mapping[str, Any]) -> None:
    assert weight_format(table).bytes_of("mlp") == 2.0


def test_files_of_quantised_weights_tell_their_bytes_exactly(tmp_path: Path) -> None:
    """What a list of exceptions leaves open, the size of the files settles."""
    folder = write_folder(
        tmp_path, {**LLAMA, "quantization_config": {"quant_method": "fp8"}}, weights=150_000
    )
    anatomy = read_shape(folder).anatomy

    assert anatomy is not None
    assert anatomy.weight_bytes == 150_000
    assert anatomy.weights.bytes_of("embedding") == 2.0


def test_module_that_drafts_tokens_is_not_spread_over_the_weights(tmp_path: Path) -> None:
    values = {
        **LLAMA,
        "quantization_config": {"quant_method": "fp8"},
        "num_nextn_predict_layers": 1,
    }
    anatomy = read_shape(write_folder(tmp_path, values, weights=1_000_000)).anatomy

    assert anatomy is not None
    assert anatomy.weights.bytes_of("mlp") == 1.0


def test_nvidias_own_file_beside_the_config_tells_the_format(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, LLAMA, weights=120_000)
    (folder / "hf_quant_config.json").write_text(
        json.dumps({"quantization": {"quant_algo": "NVFP4", "exclude_modules": ["lm_head"]}})
    )
    anatomy = read_shape(folder).anatomy

    assert anatomy is not None
    assert anatomy.weights.name == "nvfp4"
