"""Words of a command line, some parts of which are variables; pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

# In double quotes, these are not themselves; a newline and all else are.
_SPECIAL = re.compile(r'([\\"$`])')
# In single quotes, the first cannot be, and the others look like a mistake.
_UNREADABLE = re.compile(r"['$`]")
_IN_NAME = re.compile(r"[A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Variable:
    """A shell variable."""

    name: str


Word = tuple[str | Variable, ...]


def cut(word: Word, values: Mapping[str, str]) -> Word:
    """Put variables in place of the paths that they stand for.

    Args:
        values: Path by variable. It is found only as a whole: at the end, or before a ``/`` or
            ``:``.
    """
    for name, value in sorted(values.items(), key=lambda item: -len(item[1])):
        pattern = re.compile(rf"{re.escape(value)}(?=[/:]|$)")
        word = tuple(part for piece in word for part in _cut(piece, pattern, name))
    return word


def _cut(piece: str | Variable, pattern: re.Pattern[str], name: str) -> Iterable[str | Variable]:
    if isinstance(piece, Variable):
        return (piece,)
    first, *others = pattern.split(piece)
    parts: list[str | Variable] = [first]
    for text in others:
        parts += [Variable(name), text]
    return [part for part in parts if part]


def shell_word(word: Word) -> str:
    """Return the word for a POSIX shell: quoted where it must be, variables always."""
    text = "".join(part for part in word if isinstance(part, str))
    if not any(isinstance(part, Variable) for part in word) and not _UNREADABLE.search(text):
        return shlex.quote(text)
    pairs = pairwise((*word, ""))
    return f'"{"".join(_in_quotes(part, following) for part, following in pairs)}"'


def _in_quotes(part: str | Variable, following: str | Variable) -> str:
    if isinstance(part, str):
        return _SPECIAL.sub(r"\\\1", part)
    runs_on = isinstance(following, str) and _IN_NAME.match(following)
    return f"${{{part.name}}}" if runs_on else f"${part.name}"
