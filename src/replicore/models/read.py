"""Read a model's shape from its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from replicore.errors import ModelError
from replicore.models.config_json import read_config_shape
from replicore.models.gguf_anatomy import gguf_anatomy
from replicore.models.gguf_files import shards
from replicore.models.gguf_header import Tensor, read_gguf_header
from replicore.models.gguf_metadata import GgufMetadata
from replicore.models.shape import ModelShape


def read_shape(path: Path) -> ModelShape:
    """Return the shape of the model in ``path``: a GGUF file (the first shard), or a folder.

    Raises:
        ModelError: A file is missing, malformed or cut off, or lacks a size; names it.
    """
    return read_config_shape(path) if path.is_dir() else _read_gguf_shape(path)


def _read_gguf_shape(path: Path) -> ModelShape:
    files = [path.with_name(name) for name in shards(path.name)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ModelError(f"{path.parent}: there is no {', '.join(missing)}")
    headers = [read_gguf_header(file) for file in files]
    tensors = [tensor for header in headers for tensor in header.tensors]
    stored = sum(header.tensor_bytes for header in headers)
    return _shape(GgufMetadata(path, headers[0].metadata), stored, tensors)


def _shape(metadata: GgufMetadata, weight_bytes: int, tensors: Sequence[Tensor]) -> ModelShape:
    hidden = metadata.size("embedding_length")
    heads = metadata.size("attention.head_count")
    shape = ModelShape(
        architecture=metadata.architecture,
        layers=metadata.size("block_count"),
        hidden=hidden,
        heads=heads,
        kv_heads=metadata.size("attention.head_count_kv", heads),
        head_dim=metadata.size("attention.key_length", hidden // heads),
        vocab=metadata.vocab(),
        max_model_len=metadata.size("context_length"),
        weight_bytes=weight_bytes,
        file_format="gguf",
    )
    return replace(shape, anatomy=gguf_anatomy(shape, metadata, tensors))
