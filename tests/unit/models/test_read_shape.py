"""Rows from published configurations; parameters and KV bytes worked by hand beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from replicore.errors import ModelError
from replicore.models.read import read_shape
from replicore.models.shape import ModelShape
from tests.unit.models.model_files import LLAMA, write_folder, write_gguf


def config(family: str, layers: int, hidden: int, heads: int, **more: object) -> dict[str, object]:
    return {
        "model_type": family,
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "vocab_size": 1000,
        "max_position_embeddings": 4096,
        **more,
    }


@pytest.mark.parametrize(
    ("values", "kv_heads", "head_dim", "kv_bytes"),
    [
        # Llama-3.2-1B: 2 x 16 layers x 8 heads x 64 x 2 bytes
        (config("llama", 16, 2048, 32, num_key_value_heads=8, head_dim=64), 8, 64, 32_768),
        # Llama-3.1-8B: 2 x 32 x 8 x (4096 / 32 = 128) x 2
        (config("llama", 32, 4096, 32, num_key_value_heads=8), 8, 128, 131_072),
        # Llama-3.3-70B: 2 x 80 x 8 x (8192 / 64 = 128) x 2
        (config("llama", 80, 8192, 64, num_key_value_heads=8), 8, 128, 327_680),
        # Mistral-Small-24B: 2 x 40 x 8 x 128 x 2; head_dim is not 5120 / 32 = 160
        (config("mistral", 40, 5120, 32, num_key_value_heads=8, head_dim=128), 8, 128, 163_840),
        # Qwen2.5-0.5B: 2 x 24 x 2 x (896 / 14 = 64) x 2
        (config("qwen2", 24, 896, 14, num_key_value_heads=2), 2, 64, 12_288),
        # Qwen3-0.6B: 2 x 28 x 8 x 128 x 2; head_dim is not 1024 / 16 = 64
        (config("qwen3", 28, 1024, 16, num_key_value_heads=8, head_dim=128), 8, 128, 114_688),
        # Mixtral-8x7B: 2 x 32 x 8 x 128 x 2; "head_dim": null is in newer files
        (config("mixtral", 32, 4096, 32, num_key_value_heads=8, head_dim=None), 8, 128, 131_072),
        # OPT-125M has no grouping: 2 x 12 x 12 x (768 / 12 = 64) x 2
        (config("opt", 12, 768, 12), 12, 64, 36_864),
        # Falcon-7B, one key/value head for all 71: 2 x 32 x 1 x (4544 / 71 = 64) x 2
        (config("falcon", 32, 4544, 71, multi_query=True), 1, 64, 8_192),
        # DeepSeek-V3, latent attention: 61 x (512 + 64) x 2
        (
            config(
                "deepseek_v3",
                61,
                7168,
                128,
                num_key_value_heads=128,
                kv_lora_rank=512,
                qk_rope_head_dim=64,
            ),
            1,
            288,
            70_272,
        ),
    ],
)
def test_kv_cache_of_a_published_config_is_known_to_the_byte(
    tmp_path: Path, values: Mapping[str, Any], kv_heads: int, head_dim: int, kv_bytes: int
) -> None:
    shape = read_shape(write_folder(tmp_path, values))

    assert (shape.kv_heads, shape.head_dim) == (kv_heads, head_dim)
    assert shape.kv_bytes_per_token() == kv_bytes


def test_gpt2_names_its_sizes_differently(tmp_path: Path) -> None:
    values = {
        "model_type": "gpt2",
        "n_layer": 12,
        "n_embd": 768,
        "n_head": 12,
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_ctx": 512,
    }

    assert read_shape(write_folder(tmp_path, values)) == ModelShape(
        architecture="gpt2",
        layers=12,
        hidden=768,
        heads=12,
        kv_heads=12,
        head_dim=64,
        vocab=50257,
        max_model_len=1024,
        weight_bytes=10,
        file_format="safetensors",
    )


def test_text_part_of_a_multimodal_config_counts(tmp_path: Path) -> None:
    values = {"model_type": "gemma3", "hidden_size": 1, "text_config": LLAMA}

    shape = read_shape(write_folder(tmp_path, values))

    assert (shape.architecture, shape.hidden, shape.layers) == ("llama", 64, 2)


def test_weights_are_counted_once_where_a_repository_has_them_twice(tmp_path: Path) -> None:
    write_folder(tmp_path, weights=1000)
    (tmp_path / "consolidated.safetensors").write_bytes(bytes(999))

    assert read_shape(tmp_path).weight_bytes == 1000


def write_index(folder: Path, *names: str) -> None:
    weight_map = {f"layer.{i}": name for i, name in enumerate(names)}
    index = {"metadata": {"total_size": 12345}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_index_names_the_files_whose_sizes_count(tmp_path: Path) -> None:
    write_folder(tmp_path, weights=1000)
    (tmp_path / "model-of-something-else.safetensors").write_bytes(bytes(999))
    write_index(tmp_path, "model.safetensors", "model.safetensors")

    assert read_shape(tmp_path).weight_bytes == 1000


def test_index_without_any_of_its_files_counts_as_declared(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_index(tmp_path, "model-00001-of-00001.safetensors")

    assert read_shape(tmp_path).weight_bytes == 12345


def test_index_with_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_index(tmp_path, "model.safetensors", "model-00002.safetensors")

    with pytest.raises(ModelError, match=r"not there: model-00002\.safetensors"):
        read_shape(tmp_path)


@pytest.mark.parametrize("key", sorted(set(LLAMA) - {"num_key_value_heads"}))
def test_config_without_a_key_is_an_error_that_names_file_and_key(tmp_path: Path, key: str) -> None:
    write_folder(tmp_path, {name: value for name, value in LLAMA.items() if name != key})

    with pytest.raises(ModelError, match=rf'config\.json: there is no .*"{key}"'):
        read_shape(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model_type": 7}', "\xff"])
def test_config_that_is_not_an_object_is_an_error_that_names_the_file(
    tmp_path: Path, text: str
) -> None:
    write_folder(tmp_path)
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(ModelError, match=r"config\.json"):
        read_shape(tmp_path)


def test_gguf_shape_has_all_sizes(tmp_path: Path) -> None:
    assert read_shape(write_gguf(tmp_path / "m.gguf")) == ModelShape(
        architecture="llama",
        layers=2,
        hidden=64,
        heads=4,
        kv_heads=2,
        head_dim=16,
        vocab=100,
        max_model_len=128,
        weight_bytes=576,
        file_format="gguf",
    )


def test_gguf_with_a_size_for_each_layer_has_the_largest(tmp_path: Path) -> None:
    assert read_shape(write_gguf(tmp_path / "m.gguf", kv_heads=[1, 2])).kv_heads == 2


def test_gguf_without_a_key_is_an_error_that_names_file_and_key(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", without="llama.context_length")

    with pytest.raises(ModelError, match=r"m\.gguf: the metadata has no usable llama\.context"):
        read_shape(path)


def test_gguf_shards_are_counted_together(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf")
    write_gguf(tmp_path / "m-00002-of-00002.gguf")

    assert read_shape(first).weight_bytes == 2 * 576


def test_gguf_with_a_missing_shard_is_an_error_that_names_it(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf")

    with pytest.raises(ModelError, match=r"there is no m-00002-of-00002\.gguf"):
        read_shape(first)
