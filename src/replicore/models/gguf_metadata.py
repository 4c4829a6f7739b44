"""The sizes in a GGUF file's metadata; most keys start with the architecture's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from replicore.errors import ModelError
from replicore.models.gguf_header import StringArray, Value


class GgufMetadata:
    """The metadata of one model.

    Args:
        path: The file, for errors.

    Raises:
        ModelError: It does not tell the architecture.
    """

    def __init__(self, path: Path, values: Mapping[str, Value]) -> None:
        self._path = path
        self._values = values
        self.architecture = str(self._values.get("general.architecture", ""))
        if not self.architecture:
            raise self._missing("general.architecture")

    def size(self, key: str, default: int | None = None) -> int:
        """Return a size of at least 1; the largest where the file has one for each layer.

        Raises:
            ModelError: There is none, and no default.
        """
        value = self._value(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            value = max(value, default=0)
        if isinstance(value, int) and value > 0:
            return value
        if default is None:
            raise self._missing(f"{self.architecture}.{key}")
        return default

    def vocab(self) -> int:
        """Return the entries of the vocabulary."""
        tokens = self._value("tokenizer.ggml.tokens")
        return self.size("vocab_size", tokens.length if isinstance(tokens, StringArray) else None)

    def _value(self, key: str) -> Value | None:
        return self._values.get(key)

    def _missing(self, key: str) -> ModelError:
        return ModelError(f"{self._path}: the metadata has no usable {key}")
