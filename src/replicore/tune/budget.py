"""How much may be spent on finding a layout: runs, time, or both. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from replicore.errors import ConfigError
from replicore.units import format_duration, parse_duration
from replicore.wording import pluralize, quoted

_MOST_RUNS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent; None for no limit.

    Attributes:
        seconds: Deploying and measuring; no run begins after that.
    """

    runs: int | None = None
    seconds: float | None = None

    def spent(self, *, runs: int, seconds: float) -> str:
        """Return what of it is spent, in words; empty while something is left."""
        if self.runs is not None and runs >= self.runs:
            return f"the budget of {pluralize(self.runs, 'run')} is spent"
        if self.seconds is not None and seconds >= self.seconds:
            return f"the budget of {format_duration(self.seconds)} is spent"
        return ""

    def __str__(self) -> str:
        return " or ".join(self._limits()) or "no limit"

    def _limits(self) -> Iterator[str]:
        if self.runs is not None:
            yield pluralize(self.runs, "run")
        if self.seconds is not None:
            yield format_duration(self.seconds)


def parse_budget(text: str) -> Budget:
    """Return what ``6``, ``20m`` or ``6,20m`` say: a number of runs, a duration, or both.

    Raises:
        ConfigError: It says something else, or one of them twice.
    """
    runs: int | None = None
    seconds: float | None = None
    for part in (part.strip() for part in text.split(",")):
        counts = part.isascii() and part.isdigit()
        if counts and runs is None:
            runs = _runs(part)
        elif not counts and seconds is None:
            seconds = _seconds(part, text)
        else:
            raise ConfigError(f"--budget: {quoted(text)} names one limit twice; write it once")
    return Budget(runs=runs, seconds=seconds)


def _runs(text: str) -> int:
    if not 1 <= int(text) <= _MOST_RUNS:
        raise ConfigError(f"--budget: {quoted(text)} is no number of runs from 1 to {_MOST_RUNS}")
    return int(text)


def _seconds(part: str, text: str) -> float:
    try:
        seconds = parse_duration(part)
    except ConfigError:
        seconds = 0.0
    if seconds <= 0:
        raise ConfigError(
            f"--budget: {quoted(text)} is no budget; write runs, a time, or both, such as 6, 20m "
            "or 6,20m"
        )
    return seconds
