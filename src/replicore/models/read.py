"""Read a model's shape from its files."""

from __future__ import annotations

from pathlib import Path

from replicore.errors import ModelError
from replicore.models.config_json import read_config_shape
from replicore.models.gguf_files import shards
from replicore.models.gguf_header import GgufHeader, StringArray, Value, read_gguf_header
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
    return _shape(_Metadata(path, headers[0]), sum(header.tensor_bytes for header in headers))


def _shape(metadata: _Metadata, weight_bytes: int) -> ModelShape:
    hidden = metadata.size("embedding_length")
    heads = metadata.size("attention.head_count")
    return ModelShape(
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


class _Metadata:
    """The sizes in a GGUF file; most keys start with the architecture's name."""

    def __init__(self, path: Path, header: GgufHeader) -> None:
        self._path = path
        self._values = header.metadata
        self.architecture = str(self._values.get("general.architecture", ""))
        if not self.architecture:
            raise self._missing("general.architecture")

    def size(self, key: str, default: int | None = None) -> int:
        """Return a size of at least 1; the largest where the file has one for each layer."""
        value = self._value(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            value = max(value, default=0)
        if isinstance(value, int) and value > 0:
            return value
        if default is None:
            raise self._missing(f"{self.architecture}.{key}")
        return default

    def vocab(self) -> int:
        tokens = self._value("tokenizer.ggml.tokens")
        return self.size("vocab_size", tokens.length if isinstance(tokens, StringArray) else None)

    def _value(self, key: str) -> Value | None:
        return self._values.get(key)

    def _missing(self, key: str) -> ModelError:
        return ModelError(f"{self._path}: the metadata has no usable {key}")
