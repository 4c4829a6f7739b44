"""The words of a GGUF file's vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.bench.load.prompts.gguf_words import read_vocabulary
from replicore.errors import ConfigError
from tests.unit.bench.load.vocabularies import write_vocabulary


@pytest.mark.parametrize(("kind", "space"), [("gpt2", "Ġ"), ("llama", "▁")])
def test_words_are_the_tokens_that_begin_with_their_space(
    tmp_path: Path, kind: str, space: str
) -> None:
    tokens = ["the", f"{space}the", f"{space}cat", f"{space}a1", space, f"{space}été"]
    file = write_vocabulary(tmp_path / "m.gguf", tokens, kind=kind)

    assert read_vocabulary(file) == {"the": 1, "cat": 2, "été": 5}


@pytest.mark.parametrize("kind", ["bert", None])
def test_tokenizer_without_words_that_begin_with_their_space_is_refused(
    tmp_path: Path, kind: str | None
) -> None:
    file = write_vocabulary(tmp_path / "m.gguf", ["the"], kind=kind)

    with pytest.raises(ConfigError, match=f"of kind {kind}; those of gpt2 and llama are known"):
        read_vocabulary(file)
