"""When requests are sent: a closed loop, or a plan of arrivals. Pure.

A plan is a renewal process or a given list of times. Intervals are drawn as they come and never
stretched so that the last arrival falls on a round time: that would make another process of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from replicore.errors import ConfigError

Times = npt.NDArray[np.float64]


class Arrivals(Protocol):
    """An open loop: times that do not depend on how fast anybody answers.

    The first ``n`` times are the same whatever ``count`` is, for the same state of ``rng``.
    """

    @property
    def limit(self) -> int | None:
        """Arrivals that there are at most; None for any number."""
        ...

    def times(self, count: int, rng: np.random.Generator) -> Times:
        """Return when each request should leave, ``(count,)``, ascending, in seconds from 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How requests are sent.

    Attributes:
        concurrency: Requests, or sessions, kept in flight; with ``arrivals`` the most that may be
            in flight, None for any number.
        arrivals: None for a closed loop.

    Raises:
        ConfigError: Neither is given, or a concurrency below 1.
    """

    concurrency: int | None
    arrivals: Arrivals | None = None

    def __post_init__(self) -> None:
        if self.concurrency is None and self.arrivals is None:
            raise ConfigError("a load needs a concurrency or arrivals")
        if self.concurrency is not None and self.concurrency < 1:
            raise ConfigError(f"concurrency: {self.concurrency} is below 1")


@dataclass(frozen=True, slots=True)
class Constant:
    """Evenly spaced: request i leaves at i / rate."""

    rate_per_s: float
    limit: ClassVar[int | None] = None
    kind: Literal["constant"] = field(default="constant", init=False)

    def __post_init__(self) -> None:
        _check_rate(self.rate_per_s)

    def __str__(self) -> str:
        return f"{self.rate_per_s:g}/s"

    def times(self, count: int, rng: np.random.Generator) -> Times:
        return np.arange(count) / self.rate_per_s


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent users: intervals are exponential with mean 1 / rate."""

    rate_per_s: float
    limit: ClassVar[int | None] = None
    kind: Literal["poisson"] = field(default="poisson", init=False)

    def __post_init__(self) -> None:
        _check_rate(self.rate_per_s)

    def __str__(self) -> str:
        return f"poisson:{self.rate_per_s:g}"

    def times(self, count: int, rng: np.random.Generator) -> Times:
        return np.cumsum(rng.exponential(1 / self.rate_per_s, count))


@dataclass(frozen=True, slots=True)
class Gamma:
    """Bursts or regularity: gamma intervals with mean 1 / rate and deviation mean / sqrt(shape).

    A shape of 1 is a Poisson process, below it arrivals come in bursts, above it more evenly.
    ``vllm bench serve`` calls the shape burstiness.
    """

    rate_per_s: float
    shape: float
    limit: ClassVar[int | None] = None
    kind: Literal["gamma"] = field(default="gamma", init=False)

    def __post_init__(self) -> None:
        _check_rate(self.rate_per_s)
        if not 0 < self.shape < math.inf:
            raise ConfigError(f"gamma shape {self.shape:g} is not a number above 0")

    def __str__(self) -> str:
        return f"gamma:{self.rate_per_s:g}:{self.shape:g}"

    def times(self, count: int, rng: np.random.Generator) -> Times:
        scale = 1 / (self.rate_per_s * self.shape)
        return np.cumsum(rng.gamma(self.shape, scale, count))


@dataclass(frozen=True, slots=True)
class Ramp:
    """A rate that grows or falls linearly from ``start`` to ``end``, and stays there.

    Arrival i is at the time t at which i requests were due: the integral of the rate from 0 to t,
    a t + b t² / 2 with a = start and b = (end - start) / seconds, is i. Nothing is random, so that
    a queue that grows has grown because of the rate, and not because of a burst.
    """

    start_per_s: float
    end_per_s: float
    seconds: float
    limit: ClassVar[int | None] = None
    kind: Literal["ramp"] = field(default="ramp", init=False)

    def __post_init__(self) -> None:
        for rate in (self.start_per_s, self.end_per_s):
            if not 0 <= rate < math.inf:
                raise ConfigError(f"rate {rate:g}/s of a ramp is not a number of at least 0")
        if not self.end_per_s:
            raise ConfigError("a ramp to 0/s never sends its last requests; end above 0")
        if not 0 < self.seconds < math.inf:
            raise ConfigError(f"a ramp of {self.seconds:g} s is not longer than 0 s")

    def __str__(self) -> str:
        return f"ramp:{self.start_per_s:g}..{self.end_per_s:g}:{self.seconds:g}s"

    def times(self, count: int, rng: np.random.Generator) -> Times:
        due = np.arange(count, dtype=np.float64)
        during = self.seconds * (self.start_per_s + self.end_per_s) / 2
        after = self.seconds + (due - during) / self.end_per_s
        return np.where(due < during, self._solved(np.minimum(due, during)), after)

    def _solved(self, due: Times) -> Times:
        # The root of b t² / 2 + a t - i in the form that also holds for b = 0 and for i = 0.
        slope = (self.end_per_s - self.start_per_s) / self.seconds
        root = np.sqrt(np.maximum(self.start_per_s**2 + 2 * slope * due, 0.0))
        below = self.start_per_s + root
        return np.divide(2 * due, below, out=np.zeros_like(due), where=below > 0)


@dataclass(frozen=True, slots=True)
class Trace:
    """Recorded times, ascending, shifted so that the first is 0, and run ``speed`` times as fast.

    Raises:
        ConfigError: No times, descending ones, or a speed that is not above 0.
    """

    times_s: tuple[float, ...]
    speed: float = 1.0
    kind: Literal["trace"] = field(default="trace", init=False)

    def __post_init__(self) -> None:
        if not self.times_s:
            raise ConfigError("a trace without arrivals")
        if not np.all(np.diff(self.times_s) >= 0):
            raise ConfigError("the times of a trace must not descend")
        if not 0 < self.speed < math.inf:
            raise ConfigError(
                f"a trace cannot run {self.speed:g} times as fast; use a speed above 0"
            )

    def __str__(self) -> str:
        faster = "" if self.speed == 1 else f", {self.speed:g} times as fast"
        return f"trace of {len(self.times_s)} arrivals{faster}"

    @property
    def limit(self) -> int | None:
        return len(self.times_s)

    def times(self, count: int, rng: np.random.Generator) -> Times:
        """Return the first ``count`` times.

        Raises:
            ConfigError: The trace has fewer.
        """
        if count > len(self.times_s):
            raise ConfigError(
                f"{count} requests are more than the {len(self.times_s)} of the trace"
            )
        return (np.asarray(self.times_s[:count]) - self.times_s[0]) / self.speed


def _check_rate(rate_per_s: float) -> None:
    if not 0 < rate_per_s < math.inf:
        raise ConfigError(f"rate {rate_per_s:g}/s is not above 0")
