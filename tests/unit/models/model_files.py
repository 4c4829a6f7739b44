"""Small model files for tests, written by the `gguf` package and by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

LLAMA: Mapping[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 128,
}


def write_gguf(path: Path, *, without: str = "", kv_heads: int | list[int] = 2) -> Path:
    """Write a Llama of two layers, without the metadata key ``without``."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(kv_heads)
    writer.add_token_list([f"token {i}" for i in range(100)])
    writer.add_token_scores([0.0] * 100)
    writer.kv_data[0].pop(without, None)
    writer.add_tensor("first", np.zeros((3, 5), np.float32))
    writer.add_tensor("second", np.ones((4, 64), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_bytes(folder: Path) -> bytes:
    return write_gguf(folder / "scratch.gguf").read_bytes()


def write_folder(folder: Path, config: Mapping[str, Any] = LLAMA, *, weights: int = 10) -> Path:
    """Write a folder in the Hugging Face layout with ``weights`` bytes of safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(bytes(weights))
    return folder
