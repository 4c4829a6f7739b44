"""A tokenizer of the user's own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from replicore.bench.llmperf.vocabulary import Vocabulary, load_vocabulary, tokenizer_file
from replicore.errors import ConfigError


def encode(text: str, *, add_special_tokens: bool) -> SimpleNamespace:
    return SimpleNamespace(ids=[1] * add_special_tokens + [2] * len(text.split()))


def test_added_tokens_count_for_llmperf_only() -> None:
    words = Vocabulary(encode)

    assert words.ids("a b c") == [2, 2, 2]
    assert words.count("a b c") == 3
    assert words.count_with_special("a b c") == 4
    assert words.count_with_special("") == 1


def test_file_is_named_itself_or_by_its_directory(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    assert tokenizer_file(str(tmp_path)) is None
    file.touch()

    assert tokenizer_file(str(tmp_path)) == tokenizer_file(str(file)) == file


def test_name_that_is_no_file_names_no_tokenizer() -> None:
    assert tokenizer_file("hf-internal-testing/llama-tokenizer") is None


def test_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")

    with pytest.raises(ConfigError, match=r"is not a tokenizer\.json"):
        load_vocabulary(path)
