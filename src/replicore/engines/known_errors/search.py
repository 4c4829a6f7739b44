"""Look for known errors in what an engine printed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from replicore.engines.known_errors.known_error import KnownError
from replicore.engines.known_errors.llamacpp import LLAMACPP
from replicore.engines.known_errors.neuron import NEURON
from replicore.engines.known_errors.system import SYSTEM
from replicore.engines.known_errors.vllm import VLLM

# What an engine says of itself is more telling than what its libraries and the kernel say.
CATALOGUE: tuple[KnownError, ...] = tuple(
    sorted((*NEURON, *VLLM, *LLAMACPP, *SYSTEM), key=lambda error: error.symptom)
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A known error, and the last line that has it, without blanks around it."""

    error: KnownError
    line: str


def find_known(text: str) -> KnownError | None:
    """Return the most telling known error in ``text``; None where nothing is known."""
    return next((error for error in CATALOGUE if _pattern(error).search(text)), None)


def find_all(text: str) -> tuple[Sighting, ...]:
    """Return the known errors in ``text``, each once, in the order in which they were last seen.

    Of several that one line has, the most telling one; mere symptoms only where nothing else is.
    """
    by_line: dict[int, KnownError] = {}
    for error in CATALOGUE:
        start = _last_line(_pattern(error), text)
        if start is not None and not (error.symptom and by_line):
            by_line.setdefault(start, error)
    return tuple(Sighting(by_line[start], _line_at(text, start)) for start in sorted(by_line))


@cache
def _pattern(error: KnownError) -> re.Pattern[str]:
    return re.compile(error.pattern, re.MULTILINE)


def _last_line(pattern: re.Pattern[str], text: str) -> int | None:
    """Return where the last line begins that the pattern is in."""
    starts = [match.start() for match in pattern.finditer(text)]
    return text.rfind("\n", 0, starts[-1]) + 1 if starts else None


def _line_at(text: str, start: int) -> str:
    return text[start:].partition("\n")[0].strip()
