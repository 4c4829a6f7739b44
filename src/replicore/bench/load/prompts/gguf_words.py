"""The words in a GGUF file's vocabulary that are one token each."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from replicore.errors import ConfigError
from replicore.models.gguf_header import StringArray, read_gguf_header

_TOKENS = "tokenizer.ggml.tokens"
# How a vocabulary writes the space before a word, by the kind of tokenizer.
_SPACES = {"gpt2": "Ġ", "llama": "▁"}


def read_vocabulary(path: Path) -> Mapping[str, int]:
    """Return the id of every token that is a space and letters, by the letters.

    Raises:
        ModelError: The file cannot be read, or is damaged.
        ConfigError: Its tokenizer is of a kind in which words do not begin with their space.
    """
    metadata = read_gguf_header(path).metadata
    tokens, kind = metadata.get(_TOKENS), metadata.get("tokenizer.ggml.model")
    if not isinstance(tokens, StringArray) or kind not in _SPACES:
        raise ConfigError(
            f"{path}: words cannot be told from a tokenizer of kind {kind}; those of "
            f"{' and '.join(_SPACES)} are known",
            hint="leave it out, and the server tokenizes",
        )
    space = _SPACES[str(kind)]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        texts = enumerate(_strings(data, tokens))
        return {
            text.removeprefix(space): token
            for token, text in texts
            if text.startswith(space) and text.removeprefix(space).isalpha()
        }


def _strings(data: mmap.mmap, array: StringArray) -> Iterator[str]:
    position, length = array.offset, struct.Struct("<Q").unpack_from
    for _ in range(array.length):
        start = position + 8
        position = start + length(data, position)[0]
        yield data[start:position].decode("utf-8", "replace")
