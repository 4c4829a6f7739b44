"""Unit files as text; pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

# Directives with their values, in order: [("After", "a.service"), ...]; COMMENT with a sentence.
Section = Sequence[tuple[str, str]]
COMMENT = "#"

_WIDTH = 98

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def unit_text(comment: Iterable[str], **sections: Section) -> str:
    """Return a unit file: ``Unit=[("Description", "...")]`` and so on, in order."""
    blocks = ["\n".join(f"# {line}" for line in comment)]
    for name, section in sections.items():
        lines = [line for key, value in section for line in _lines(key, value)]
        blocks.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _lines(key: str, value: str) -> list[str]:
    if key == COMMENT:
        return [f"# {line}" for line in textwrap.wrap(value, _WIDTH)]
    return [f"{key}={value}"]


def command_line(argv: Iterable[str]) -> str:
    """Return what ``ExecStart=`` runs as these words: no variable of theirs is replaced.

    Each option is on a line of its own.

    Source: systemd.service(5), "Command lines".
    """
    words = [_quoted(word.replace("$", "$$")) for word in argv]
    return "".join(_separator(word) + word for word in words).strip()


def _separator(word: str) -> str:
    return " \\\n  " if word.startswith("--") else " "


def assignment(name: str, value: str) -> str:
    """Return what ``Environment=`` sets; ``$`` has no meaning there."""
    return _quoted(f"{name}={value}")


def _quoted(word: str) -> str:
    word = word.replace("%", "%%")
    if _PLAIN.fullmatch(word):
        return word
    return f'"{"".join(_ESCAPES.get(character, character) for character in word)}"'
