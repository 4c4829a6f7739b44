"""Tokenizers: which files can be read, and which texts are counted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from replicore.bench.load.prompts import tokenizers
from replicore.bench.load.prompts.tokenizers import GgufTokenizer, count_texts, open_tokenizer
from replicore.errors import ConfigError, ModelError
from tests.unit.bench.load.vocabularies import write_vocabulary

# A whole tokenizer.json: words apart at spaces, each an entry.
WORD_LEVEL: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "model": {
        "type": "WordLevel",
        "vocab": {"[UNK]": 0, "the": 7, "cat": 9},
        "unk_token": "[UNK]",
    },
}


def ids(path: Path, text: str) -> list[int] | None:
    return asyncio.run(open_tokenizer(str(path)).ids(text))


def write_json(folder: Path) -> Path:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(WORD_LEVEL))
    return file


def test_tokenizer_json_gives_its_ids(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")

    assert ids(write_json(tmp_path), "the cat the") == [7, 9, 7]


def test_folder_stands_for_the_tokenizer_json_in_it(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    write_json(tmp_path)

    assert ids(tmp_path, "cat") == [9]


def test_file_that_is_no_tokenizer_json_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")

    with pytest.raises(ConfigError, match=r"tokenizer\.json is not a tokenizer\.json"):
        open_tokenizer(str(file))


def test_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(tokenizers, "import_module", missing)
    with pytest.raises(ConfigError, match="needs the package tokenizers") as caught:
        open_tokenizer(str(write_json(tmp_path)))

    assert "pip install tokenizers" in (caught.value.hint or "")


def test_gguf_tokenizer_gives_one_id_for_words_of_its_vocabulary_only(tmp_path: Path) -> None:
    file = write_vocabulary(tmp_path / "m.gguf", ["x", "Ġthe", "Ġcat"])

    assert ids(file, "the cat") == [1, 2]
    # Never one token: such a word is then left out of prompts.
    assert len(ids(file, "dog") or ()) == 2
    assert not GgufTokenizer(file).any_text


def test_damaged_gguf_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")

    with pytest.raises(ModelError, match="not a GGUF file"):
        open_tokenizer(str(file))


def test_tokenizer_that_is_not_there_or_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.json: there is no such file"):
        open_tokenizer(str(tmp_path))

    (tmp_path / "vocab.txt").write_text("the\n")
    with pytest.raises(ConfigError, match=r"neither a tokenizer\.json nor a \.gguf file"):
        open_tokenizer(str(tmp_path / "vocab.txt"))


class HalfTokenizer:
    """Two characters a token, for as many texts as it is asked to.

    Attributes:
        asked: Texts so far.
    """

    name = "a test"

    def __init__(self, *, any_text: bool = True, tells: int = 10_000) -> None:
        self.any_text = any_text
        self._tells = tells
        self.asked: list[str] = []

    async def ids(self, text: str) -> list[int] | None:
        self.asked.append(text)
        return [0] * (len(text) // 2) if len(self.asked) <= self._tells else None


def test_each_text_is_counted_once() -> None:
    tokenizer = HalfTokenizer()
    counted = asyncio.run(count_texts(tokenizer, ["four", "sixsix", "four"]))

    assert tokenizer.asked == ["four", "sixsix"]
    assert counted == {"four": 2, "sixsix": 3}


def test_no_more_texts_are_counted_than_take_a_moment() -> None:
    tokenizer = HalfTokenizer()
    asyncio.run(count_texts(tokenizer, (f"text {n}" for n in range(5000))))

    assert len(tokenizer.asked) == 4096


def test_vocabulary_that_knows_only_our_words_is_not_asked() -> None:
    tokenizer = HalfTokenizer(any_text=False)
    counted = asyncio.run(count_texts(tokenizer, ["some text"]))

    assert (tokenizer.asked, counted) == ([], {})


def test_server_that_cannot_tokenize_is_not_asked_on() -> None:
    tokenizer = HalfTokenizer(tells=0)
    counted = asyncio.run(count_texts(tokenizer, (f"text {n}" for n in range(100))))

    assert len(tokenizer.asked) <= 16
    assert counted == {}
