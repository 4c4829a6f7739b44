"""Who tells what the tokens of a text are: the server, a ``tokenizer.json``, or a GGUF file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from replicore.bench.load.prompts.gguf_words import read_vocabulary
from replicore.bench.load.server import Server
from replicore.errors import ConfigError

# Texts that are counted, and how many of them at a time; the sizes of more are estimated.
_MOST = 4096
_AT_A_TIME = 16


class Tokenizer(Protocol):
    """Cuts text into tokens.

    Attributes:
        name: For the report.
        any_text: Whether any text is cut rightly, or only our own words are.
    """

    name: str
    any_text: bool

    async def ids(self, text: str) -> list[int] | None:
        """Return the ids of ``text`` without special tokens; None where that cannot be told."""
        ...


class ServerTokenizer:
    """The server's own, through ``/tokenize``."""

    name = "the server's /tokenize"
    any_text = True

    def __init__(self, server: Server) -> None:
        self._server = server

    async def ids(self, text: str) -> list[int] | None:
        return await self._server.tokenize(text)


class JsonTokenizer:
    """A ``tokenizer.json``, read by the package ``tokenizers``.

    Raises:
        ConfigError: The package is not installed, or the file is none of its.
    """

    any_text = True

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._tokenizer = _load(path)

    async def ids(self, text: str) -> list[int] | None:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _load(path: Path) -> Any:
    try:
        package = import_module("tokenizers")  # optional, and slow to import
    except ImportError:
        raise ConfigError(
            f"{path} needs the package tokenizers, which is not installed",
            hint="`pip install tokenizers`; or leave it out, and the server tokenizes",
        ) from None
    try:
        return package.Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the package raises Exception itself
        raise ConfigError(f"{path} is not a tokenizer.json: {error}") from None


class GgufTokenizer:
    """The vocabulary of a GGUF file: enough for our words, which are one token each or left out.

    Raises:
        ModelError: The file cannot be read.
        ConfigError: It has no vocabulary in which words begin with their space.
    """

    any_text = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._words: Mapping[str, int] = read_vocabulary(path)

    async def ids(self, text: str) -> list[int] | None:
        """Return an id for each word that is a token; two for each that is not, so never one."""
        ids: list[int] = []
        for word in text.split():
            ids += [self._words[word]] if word in self._words else [0, 0]
        return ids


def open_tokenizer(path: str) -> Tokenizer:
    """Return the tokenizer of a ``tokenizer.json``, the folder that it is in, or a GGUF file.

    Raises:
        ConfigError: There is no such file, it is none of these, or a package is missing.
        ModelError: It is a damaged GGUF file.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        file /= "tokenizer.json"
    if not file.is_file():
        raise ConfigError(f"tokenizer {file}: there is no such file")
    if file.suffix == ".gguf":
        return GgufTokenizer(file)
    if file.suffix == ".json":
        return JsonTokenizer(file)
    raise ConfigError(f"tokenizer {file} is neither a tokenizer.json nor a .gguf file")


async def count_texts(tokenizer: Tokenizer, texts: Iterable[str]) -> dict[str, int]:
    """Return the tokens of the first 4096 different texts, as far as anybody can tell them."""
    chosen = list(dict.fromkeys(texts))[:_MOST] if tokenizer.any_text else []
    counted: dict[str, int] = {}
    for start in range(0, len(chosen), _AT_A_TIME):
        batch = chosen[start : start + _AT_A_TIME]
        for text, ids in zip(batch, await asyncio.gather(*map(tokenizer.ids, batch)), strict=True):
            if ids is None:
                return counted
            counted[text] = max(1, len(ids))
    return counted
