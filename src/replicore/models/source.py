"""What ``model.source`` may be: a built-in model, local files, or a Hugging Face repository."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from replicore.errors import ConfigError
from replicore.models.builtin import BUILTINS
from replicore.wording import listed, nearest, quoted

_FORMS = (
    "builtin:NAME, a folder, a .gguf file, ORG/NAME or ORG/NAME:QUANT of a Hugging Face repository"
)
# The hub's rule for each of the two names: at most 96 characters, no "..", no "--", no ".git" last.
_HUB = re.compile(
    r"(?P<repo>(?=[^/]{,96}/[^:]{,96}(?::|$))\w+(?:[.-]\w+)*/\w+(?:[.-]\w+)*(?<!\.git))"
    r"(?::(?P<pick>.+))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class BuiltinSource:
    name: str


@dataclass(frozen=True, slots=True)
class LocalSource:
    path: Path


@dataclass(frozen=True, slots=True)
class HubSource:
    """A Hugging Face repository.

    Attributes:
        pick: A GGUF file of it, by its name or a part of that such as ``Q4_K_M``.
    """

    repo: str
    pick: str | None


Source = BuiltinSource | LocalSource | HubSource


def parse_source(text: str) -> Source:
    """Return what ``text`` names. A path that exists wins over a repository of the same name.

    Raises:
        ConfigError: It is none of the known forms, or an unknown built-in model.
    """
    prefix, _, name = text.partition(":")
    if prefix == "builtin":
        return BuiltinSource(_known_builtin(name))
    path = os.path.expanduser(text)
    # Not Path.exists(): that raises for a text that is too long for a path.
    if _looks_like_path(text) or os.path.exists(path):
        return LocalSource(Path(path))
    hub = _HUB.fullmatch(text)
    if hub is None:
        raise ConfigError(f"model.source: {quoted(text)} is none of: {_FORMS}", hint=_hint(text))
    return HubSource(hub["repo"], hub["pick"])


def _looks_like_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~")) or (text.endswith(".gguf") and ":" not in text)


def _known_builtin(name: str) -> str:
    if name in BUILTINS:
        return name
    raise ConfigError(
        f"model.source: unknown built-in model {quoted(name)} (valid: {listed(BUILTINS)})",
        hint=_hint(name),
    )


def _hint(text: str) -> str | None:
    near = nearest(text, BUILTINS)
    return f'did you mean "builtin:{near}"?' if near is not None else None
