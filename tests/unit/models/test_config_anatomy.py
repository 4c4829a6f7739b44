"""Anatomies of published configurations; the sums that are not published are worked beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from replicore.models.anatomy import Anatomy
from replicore.models.parts import Window
from replicore.models.read import read_shape
from tests.unit.models.model_files import LLAMA, write_folder


def config(family: str, layers: int, hidden: int, heads: int, **more: object) -> dict[str, Any]:
    return {
        "model_type": family,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "max_position_embeddings": 2048,
        **more,
    }


def gqa(kv_heads: int, head_dim: int, vocab: int, intermediate: int, **more: Any) -> dict[str, Any]:
    return {
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "vocab_size": vocab,
        "intermediate_size": intermediate,
        **more,
    }


def anatomy(folder: Path, values: Mapping[str, Any], *, stored: int = 0) -> Anatomy:
    """Return the anatomy of a folder; ``stored`` bytes of weights, by default more than enough."""
    path = write_folder(folder, values, weights=0)
    with (path / "model.safetensors").open("wb") as file:
        file.truncate(stored or 10**13)
    found = read_shape(path).anatomy
    assert found is not None
    return found


PUBLISHED = [
    # Llama-3.2-1B ties its head
    (
        config("llama", 16, 2048, 32, **gqa(8, 64, 128_256, 8192, tie_word_embeddings=True)),
        1_235_814_400,
    ),
    (config("llama", 80, 8192, 64, **gqa(8, 128, 128_256, 28_672)), 70_553_706_496),
    (config("mistral", 40, 5120, 32, **gqa(8, 128, 131_072, 32_768)), 23_572_403_200),
    # Qwen2.5 has biases of queries, keys and values; Qwen3 norms of queries and keys
    (config("qwen2", 28, 3584, 28, **gqa(4, 128, 152_064, 18_944)), 7_615_616_512),
    (config("qwen3", 64, 5120, 64, **gqa(8, 128, 151_936, 25_600)), 32_762_123_264),
    # Gemma 2 ties its head without saying so, and has four norms in a layer
    (config("gemma2", 26, 2304, 8, **gqa(4, 256, 256_000, 9216)), 2_614_341_888),
    (config("gemma3_text", 26, 1152, 4, **gqa(1, 256, 262_144, 6912)), 999_885_952),
    # No gate in the MLP, LayerNorms and biases everywhere
    (config("phi", 32, 2560, 32, vocab_size=51_200, intermediate_size=10_240), 2_779_683_840),
    (config("opt", 24, 2048, 32, vocab_size=50_272, ffn_dim=8192), 1_315_758_080),
    (
        {
            "model_type": "gpt2",
            "n_layer": 12,
            "n_embd": 768,
            "n_head": 12,
            "vocab_size": 50_257,
            "n_positions": 1024,
        },
        124_439_808,
    ),
    # OLMo 2's norms of queries and keys are as wide as all heads; MiniMax has them too
    (
        config("olmo2", 32, 4096, 32, vocab_size=100_352, intermediate_size=11_008),
        7_298_617_344,
    ),
    (
        config(
            "minimax_m2",
            62,
            3072,
            48,
            **gqa(8, 128, 200_064, 1536, num_local_experts=256, num_experts_per_tok=8),
            use_routing_bias=True,
        ),
        228_689_764_864,
    ),
    (
        config(
            "mixtral",
            32,
            4096,
            32,
            **gqa(8, 128, 32_000, 14_336, num_local_experts=8, num_experts_per_tok=2),
        ),
        46_702_792_704,
    ),
    (
        config(
            "qwen3_moe",
            48,
            2048,
            32,
            **gqa(4, 128, 151_936, 6144, num_experts=128, num_experts_per_tok=8),
            moe_intermediate_size=768,
            decoder_sparse_step=1,
            mlp_only_layers=[],
        ),
        30_532_122_624,
    ),
    (
        config(
            "gpt_oss",
            24,
            2880,
            64,
            **gqa(8, 64, 201_088, 2880, num_local_experts=32, experts_per_token=4),
            attention_bias=True,
        ),
        20_914_757_184,
    ),
    (
        config(
            "deepseek_v3",
            61,
            7168,
            128,
            vocab_size=129_280,
            intermediate_size=18_432,
            n_routed_experts=256,
            num_experts_per_tok=8,
            moe_intermediate_size=2048,
            n_shared_experts=1,
            first_k_dense_replace=3,
            moe_layer_freq=1,
            topk_method="noaux_tc",
            q_lora_rank=1536,
            kv_lora_rank=512,
            qk_nope_head_dim=128,
            qk_rope_head_dim=64,
            v_head_dim=128,
        ),
        671_026_419_200,
    ),
    # Every second layer of Llama 4 Maverick has experts, and a shared one with them
    (
        config(
            "llama4_text",
            48,
            5120,
            40,
            **gqa(8, 128, 202_048, 8192, num_local_experts=128, num_experts_per_tok=1),
            intermediate_size_mlp=16_384,
            interleave_moe_layer_step=2,
        ),
        401_583_781_376 - 871_932_416,
    ),
]


@pytest.mark.parametrize(
    ("values", "parameters"), PUBLISHED, ids=[values["model_type"] for values, _ in PUBLISHED]
)
def test_published_config_gives_the_published_parameters(
    tmp_path: Path, values: Mapping[str, Any], parameters: int
) -> None:
    assert anatomy(tmp_path, values).parameters == parameters


def test_shared_expert_with_a_gate_is_counted(tmp_path: Path) -> None:
    moe = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
    plain = anatomy(tmp_path / "plain", {**LLAMA, **moe})
    shared = anatomy(tmp_path / "shared", {**LLAMA, **moe, "shared_expert_intermediate_size": 16})

    # 2 layers x (3 matrices x 64 x 16 + a gate of 64)
    assert shared.parameters - plain.parameters == 2 * (3 * 64 * 16 + 64)


def test_layers_without_experts_are_those_that_the_config_lists(tmp_path: Path) -> None:
    moe = {"num_experts": 4, "moe_intermediate_size": 8, "num_hidden_layers": 6}
    listed = anatomy(tmp_path / "a", {**LLAMA, **moe, "mlp_only_layers": [0, 3]})
    every = anatomy(tmp_path / "b", {**LLAMA, **moe, "moe_layer_freq": [0, 1, 1, 1, 1, 1]})

    assert listed.experts is not None
    assert every.experts is not None
    assert (listed.experts.layers, every.experts.layers) == (4, 5)


@pytest.mark.parametrize(
    ("values", "window"),
    [
        ({"sliding_window": 64}, Window(tokens=64, layers=6)),
        ({"sliding_window": 64, "use_sliding_window": False}, None),
        ({"sliding_window": None}, None),
        # The last layer of each period sees all: Gemma 3 has periods of 6
        ({"model_type": "gemma3_text", "sliding_window": 64}, Window(tokens=64, layers=5)),
        ({"model_type": "gemma2", "sliding_window": 64}, Window(tokens=64, layers=3)),
        (
            {"sliding_window": 64, "layer_types": ["full_attention", "sliding_attention"] * 3},
            Window(tokens=64, layers=3),
        ),
        (
            {"model_type": "llama4_text", "attention_chunk_size": 64, "num_hidden_layers": 8},
            Window(tokens=64, layers=6),
        ),
    ],
)
def test_window_is_of_the_layers_that_have_one(
    tmp_path: Path, values: Mapping[str, Any], window: Window | None
) -> None:
    assert anatomy(tmp_path, {**LLAMA, "num_hidden_layers": 6, **values}).window == window


def test_gated_delta_layers_keep_a_state_instead_of_keys_and_values(tmp_path: Path) -> None:
    values = {
        "model_type": "qwen3_5_text",
        "num_hidden_layers": 4,
        "layer_types": ["linear_attention"] * 3 + ["full_attention"],
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_conv_kernel_dim": 4,
    }
    found = anatomy(tmp_path, {**LLAMA, **values})

    assert found.linear is not None
    assert found.attention_layers == 1
    # keys 16, values 32: convolved 64. h (64 + 32 + 8) + 32 h, convolution 4 x 64, 2 x 4, norm 8
    assert found.linear.parameters == 64 * 136 + 256 + 8 + 8
    # 4 heads of 8 x 8, and the 3 last inputs of the convolution
    assert found.linear.state_values == 256 + 3 * 64


def test_vision_tower_is_what_the_files_have_beyond_the_text(tmp_path: Path) -> None:
    values = {"model_type": "gemma3", "vision_config": {}, "text_config": LLAMA}
    text = anatomy(tmp_path / "text", LLAMA)
    whole = anatomy(tmp_path / "whole", values, stored=text.weight_bytes + 2000)

    assert whole.other == 1000
    assert whole.weight_bytes == text.weight_bytes + 2000


def test_model_that_is_put_together_otherwise_has_no_anatomy(tmp_path: Path) -> None:
    """Its files have far less than what a Llama of its sizes would."""
    assert read_shape(write_folder(tmp_path, LLAMA)).anatomy is None


def test_wide_weights_are_counted_as_stored(tmp_path: Path) -> None:
    found = anatomy(tmp_path, {**LLAMA, "torch_dtype": "float32"})

    assert found.weight_bytes == 4 * found.parameters


@pytest.mark.parametrize(
    "values",
    [
        {"num_experts": 8},
        {"num_experts": 8, "moe_layer_freq": [0, 0]},
        {"num_experts": "many", "num_experts_per_tok": 100},
        {"layer_types": "full", "sliding_window": 5},
        {"layer_types": ["linear_attention", "full_attention"]},
        {"quantization_config": "fp8"},
        {"mlp_only_layers": "all", "mlp_bias": 1},
        {"kv_lora_rank": 16, "qk_rope_head_dim": 8},
    ],
)
def test_config_with_odd_values_is_still_read(tmp_path: Path, values: Mapping[str, Any]) -> None:
    assert anatomy(tmp_path, {**LLAMA, **values}).parameters > 0
