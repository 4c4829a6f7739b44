"""A tokenizer of the user's own, from a ``tokenizer.json``."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from replicore.errors import ConfigError

_FILE = "tokenizer.json"


class Vocabulary:
    """Token ids by a ``tokenizer.json``.

    Args:
        encode: ``encode(text, add_special_tokens=...)`` of the ``tokenizers`` package.
    """

    def __init__(self, encode: Callable[..., Any]) -> None:
        self._encode = encode

    def ids(self, text: str) -> list[int]:
        """Return the ids of ``text``, without any that mark its beginning or end."""
        return list(self._encode(text, add_special_tokens=False).ids)

    def count(self, text: str) -> int:
        """Return how many tokens ``text`` has."""
        return len(self.ids(text))

    def count_with_special(self, text: str) -> int:
        """Return how many tokens ``text`` has with those that are added, as LLMPerf counts."""
        return len(self._encode(text, add_special_tokens=True).ids)


def tokenizer_file(name: str) -> Path | None:
    """Return the file that ``--tokenizer`` names, itself or by its directory; None without one."""
    path = Path(name).expanduser()
    file = path / _FILE if path.is_dir() else path
    return file if file.is_file() else None


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a ``tokenizer.json``.

    Raises:
        ConfigError: It is none.
    """
    package = import_module("tokenizers")  # slow to import, and seldom needed
    try:
        tokenizer = package.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing narrower
        raise ConfigError(f"{path} is not a tokenizer.json: {error}") from error
    return Vocabulary(tokenizer.encode)
