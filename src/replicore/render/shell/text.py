"""Pieces of shell text; pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from replicore.render.words import Word, shell_word

_WIDTH = 100
_NUMBER = re.compile(r"[0-9]+")


def comment(text: str) -> list[str]:
    """Return a paragraph as comment lines."""
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2)]


def indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def invocation(argv: Iterable[Word], *, prefix: str) -> list[str]:
    """Return ``exec`` and the like with its words: one option with its value on each line."""
    first, *others = [" ".join(words) for words in _grouped(argv)]
    lines = [f"{prefix}{first}", *(f"  {line}" for line in others)]
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _grouped(argv: Iterable[Word]) -> Iterator[list[str]]:
    """Yield the program with what must follow it, then each option with its values."""
    line: list[str] = []
    in_program = True
    for word in argv:
        text = shell_word(word)
        in_program = in_program and (not text.startswith("--") and "=" not in text)
        if line and not in_program and (text.startswith("-") or "=" in text.partition(" ")[0]):
            yield line
            line = []
        line.append(text)
    yield line


def exports(env: Mapping[str, Word]) -> list[str]:
    return [f"export {name}={shell_word(value)}" for name, value in env.items()]


def folded(words: Iterable[str]) -> list[str]:
    """Return words for bash, with those that are numbered in order as one: ``tp{0..31}.bin``."""
    found: list[str] = []
    for stem, run in groupby(words, key=lambda word: _NUMBER.sub("#", word)):
        same = list(run)
        numbers = [int(number) for word in same for number in _NUMBER.findall(word)]
        if len(same) > 1 and numbers == list(range(numbers[0], numbers[0] + len(same))):
            before, _, after = stem.partition("#")
            braces = f"{{{numbers[0]}..{numbers[-1]}}}"
            found.append(f"{shell_word((before,))}{braces}{shell_word((after,))}")
        else:
            found += [shell_word((word,)) for word in same]
    return found


def unset(names: Iterable[str]) -> list[str]:
    """Return the ``unset`` of variables, several on a line."""
    words = " ".join(sorted(names))
    return [f"unset {line}" for line in textwrap.wrap(words, _WIDTH - 8)] if words else []
