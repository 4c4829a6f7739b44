"""Change the layout in the text of a spec file, and nothing else. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from replicore.errors import ConfigError

_TABLE = "layout"
_HEADER = re.compile(rf"\s*\[\s*{_TABLE}\s*\]\s*(?:#.*)?")
_ANY_HEADER = re.compile(r"\s*\[")


def with_layout(text: str, sizes: Mapping[str, int]) -> str:
    """Return the text with these keys of ``[layout]``; comments and all else stay as they are.

    Args:
        text: TOML.

    Raises:
        ConfigError: The table is written in a way that cannot be changed safely.
    """
    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if _HEADER.fullmatch(line.rstrip())), None)
    changed = _appended(text, sizes) if start is None else _changed(lines, start, sizes)
    _check(text, changed, sizes)
    return changed


def _appended(text: str, sizes: Mapping[str, int]) -> str:
    newline = "" if not text or text.endswith("\n") else "\n"
    gap = "\n" if text.strip() else ""
    return f"{text}{newline}{gap}[{_TABLE}]\n{''.join(_assignments(sizes))}"


def _assignments(sizes: Mapping[str, int]) -> list[str]:
    return [f"{key} = {value}\n" for key, value in sizes.items()]


def _changed(lines: Sequence[str], start: int, sizes: Mapping[str, int]) -> str:
    rest = range(start + 1, len(lines))
    end = next((i for i in rest if _ANY_HEADER.match(lines[i])), len(lines))
    table = list(lines[start + 1 : end])
    missing = {key: value for key, value in sizes.items() if not _set(table, key, value)}
    header = lines[start] if lines[start].endswith("\n") else f"{lines[start]}\n"
    return "".join([*lines[:start], header, *_assignments(missing), *table, *lines[end:]])


def _set(table: list[str], key: str, value: int) -> bool:
    """Change the line of a key; return whether there is one."""
    assignment = re.compile(rf"(\s*{key}\s*=\s*)([^#\r\n]*?)(\s*(?:#[^\r\n]*)?[\r\n]*)")
    for index, line in enumerate(table):
        match = assignment.fullmatch(line)
        if match is not None:
            table[index] = f"{match[1]}{value}{match[3]}"
            return True
    return False


def _check(before: str, after: str, sizes: Mapping[str, int]) -> None:
    """Refuse a change that did something else than was meant."""
    wanted = tomllib.loads(before)
    wanted[_TABLE] = {**wanted.get(_TABLE, {}), **sizes}
    if _parsed(after) != wanted:
        keys = ", ".join(line.strip() for line in _assignments(sizes))
        raise ConfigError(
            f"[{_TABLE}] is written in a way that cannot be changed without risk",
            hint=f"write it yourself: {keys}",
        )


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
