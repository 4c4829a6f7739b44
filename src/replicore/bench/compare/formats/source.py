"""A result file as a format sees it, and careful ways into what others wrote. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """One document of a file.

    Attributes:
        name: Of the file, without its folder.
        document: As parsed from JSON.
        beside: Returns the JSON objects of another file of the folder; none without it.
    """

    name: str
    document: Any
    beside: Callable[[str], Sequence[Mapping[str, Any]]]


def at(value: object, *keys: str) -> Any:
    """Return what lies under the keys; None where one of them is missing."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def first_of(value: object, *paths: tuple[str, ...]) -> Any:
    """Return what lies under the first path that leads to something."""
    return next((found for path in paths if (found := at(value, *path)) is not None), None)


def number(value: object) -> float | None:
    """Return a finite number, or one that is written as text as LLMPerf does; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """Return a number as a whole one; None where it is none."""
    found = number(value)
    return None if found is None else round(found)


def text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def objects(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a list; nothing for anything else."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def numbers(value: object) -> list[float | None]:
    """Return a list's items as numbers; nothing for anything else."""
    return [number(item) for item in value] if isinstance(value, list) else []


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of those that are there; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def quotient(numerator: float | None, denominator: float | None) -> float | None:
    """Return the quotient; None where it is not defined."""
    if numerator is None or not denominator:
        return None
    return numerator / denominator


def tpot(ttft: float | None, e2e: float | None, tokens: float | None) -> float | None:
    """Return (E2E - TTFT) / (n - 1); None where it is not defined."""
    if ttft is None or e2e is None or tokens is None:
        return None
    return quotient(e2e - ttft, max(tokens - 1, 0))
