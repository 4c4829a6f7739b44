"""TOML text of plain values: the standard library reads TOML and does not write it."""

from __future__ import annotations

import re

from replicore.wording import toml_string

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: object) -> str:
    """Return ``value`` as the right-hand side of a TOML assignment, on one line.

    Raises:
        TypeError: TOML has no such type (None has none).
    """
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return toml_string(value)
        case list() | tuple():
            return f"[{', '.join(toml_value(item) for item in value)}]"
        case dict():
            pairs = [f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items()]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def toml_key(key: str) -> str:
    """Return ``key`` as the left-hand side of a TOML assignment: bare where it may be."""
    return key if _BARE_KEY.fullmatch(key) else toml_value(key)
