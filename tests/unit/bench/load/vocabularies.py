"""Small GGUF files with a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf


def write_vocabulary(path: Path, tokens: Sequence[str], *, kind: str | None = "gpt2") -> Path:
    """Write a GGUF file without tensors whose tokenizer has ``tokens``."""
    writer = gguf.GGUFWriter(path, "llama")
    if kind is not None:
        writer.add_tokenizer_model(kind)
    writer.add_token_list(list(tokens))
    writer.add_token_scores([0.0] * len(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
