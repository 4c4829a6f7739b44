"""How error messages write values and choices: on one line, quoted as TOML, never long."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches

_MAX_CHARS = 80


def quoted(value: object) -> str:
    """Return ``value`` as TOML would write it, cut after 80 characters."""
    match value:
        case str():
            return shortened(toml_string(value))
        case bool():
            return str(value).lower()
        case dict():
            return "a table"
        case list() | tuple():
            return "an array"
        case int() if value.bit_length() > 64:
            return "a number of more than 64 bits"
    return shortened(str(value))


def toml_string(text: str) -> str:
    """Return ``text`` as a TOML string: in quotes, on one line, with nothing invisible in it."""
    # JSON's string form is TOML's; it leaves some characters as they are that do not print.
    written = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in written)


def listed(choices: Iterable[object]) -> str:
    """Return the choices, quoted and separated by commas."""
    return ", ".join(quoted(choice) for choice in choices)


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that ``word`` was probably meant to be; None where nothing is near."""
    by_folded = {choice.casefold(): choice for choice in choices}
    close = get_close_matches(word.casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def shortened(text: str, most: int = _MAX_CHARS) -> str:
    """Return ``text`` of at most ``most`` characters; the last one, a quote perhaps, is kept."""
    return text if len(text) <= most else f"{text[: most - 4]}...{text[-1]}"


def pluralize(count: int, noun: str, many: str = "") -> str:
    """Return ``1 core``, ``2 cores``; ``many`` is the plural where it has another form."""
    return f"{count} {noun}" if count == 1 else f"{count} {many or noun + 's'}"
