"""When requests come, and how long they are. Pure: what is random comes from a given generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from replicore.errors import ConfigError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Request i comes at ``times_s[i]``, however fast anybody answers.

    Raises:
        ConfigError: Times that descend or are not numbers of at least 0.
    """

    times_s: Floats

    def __post_init__(self) -> None:
        times = self.times_s
        if not np.all(np.isfinite(times)) or np.any(times < 0) or np.any(np.diff(times) < 0):
            raise ConfigError("arrivals must be times of at least 0 s that do not descend")


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """So many users, each with one request at a time; they all begin at 0.

    Attributes:
        think_s: Between an answer and its user's next request; one for all, or one for the request
            that comes then, by its number.

    Raises:
        ConfigError: No user, or a pause that is not a number of at least 0.
    """

    users: int
    think_s: float | Floats = 0.0

    def __post_init__(self) -> None:
        if self.users < 1:
            raise ConfigError(f"users: {self.users} is below 1")
        pauses = np.asarray(self.think_s)
        if not np.all(np.isfinite(pauses)) or np.any(pauses < 0):
            raise ConfigError("think times must be numbers of at least 0 s")


Load = OpenLoop | ClosedLoop


def constant(rate_per_s: float, count: int) -> OpenLoop:
    """Return arrivals that are evenly spaced, the first at 0."""
    _check_rate(rate_per_s)
    return OpenLoop(np.arange(count) / rate_per_s)


def poisson(rate_per_s: float, count: int, rng: np.random.Generator) -> OpenLoop:
    """Return arrivals of independent users: exponential intervals of mean 1 / rate."""
    _check_rate(rate_per_s)
    return OpenLoop(np.cumsum(rng.exponential(1 / rate_per_s, count)))


def bursty(rate_per_s: float, shape: float, count: int, rng: np.random.Generator) -> OpenLoop:
    """Return gamma intervals of mean 1 / rate and deviation mean / sqrt(shape).

    A shape of 1 is a Poisson process; below it arrivals come in bursts, above it more evenly.
    ``vllm bench serve`` calls the shape burstiness.
    """
    _check_rate(rate_per_s)
    if not 0 < shape < math.inf:
        raise ConfigError(f"gamma shape {shape:g} is not a number above 0")
    return OpenLoop(np.cumsum(rng.gamma(shape, 1 / (rate_per_s * shape), count)))


def at_once(count: int) -> OpenLoop:
    """Return arrivals that all come at 0."""
    return OpenLoop(np.zeros(count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What is asked for; all arrays are ``(requests,)``.

    Attributes:
        output_tokens: How many really come; ``least_work`` is told them too, as if the gateway had
            learned the lengths perfectly.
        sessions: A number for what a request's session has in common, which ``consistent_hash``
            goes by; None where each request is a session of its own.
        callers: Whom each request belongs to: the gateway's queue is fair over them. None: one.

    Raises:
        ConfigError: No request, arrays of different lengths, or fewer than 1 token.
    """

    input_tokens: Ints
    output_tokens: Ints
    sessions: Sequence[int] | None = field(default=None)
    callers: Sequence[str] | None = field(default=None)

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens", "sessions", "callers"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.input_tokens):
                raise ConfigError(
                    f"{name}: {len(column)} values for {len(self.input_tokens)} requests"
                )
        if not len(self.input_tokens):
            raise ConfigError("there are no requests to simulate")
        if self.input_tokens.min() < 1 or self.output_tokens.min() < 1:
            raise ConfigError("a request must have at least 1 token of input and 1 of output")

    def __len__(self) -> int:
        return len(self.input_tokens)

    @classmethod
    def same(cls, count: int, *, input_tokens: int, output_tokens: int) -> Requests:
        """Return requests that are all as long."""
        return cls(
            input_tokens=np.full(count, input_tokens), output_tokens=np.full(count, output_tokens)
        )


def normal(mean: float, deviation: float, count: int, rng: np.random.Generator) -> Ints:
    """Return normal lengths, rounded, at least 1."""
    if not mean >= 1 or not deviation >= 0:
        raise ConfigError(f"lengths of {mean:g} ± {deviation:g}: at least 1 ± 0 must hold")
    drawn = rng.normal(mean, deviation, count)
    while np.any(short := drawn < 0.5):
        drawn[short] = rng.normal(mean, deviation, int(short.sum()))
    return np.rint(drawn).astype(np.int64)


def uniform(low: int, high: int, count: int, rng: np.random.Generator) -> Ints:
    """Return lengths from ``low`` to ``high``, both inclusive, each with the same chance."""
    if not 1 <= low <= high:
        raise ConfigError(f"lengths {low}..{high}: 1 <= low <= high must hold")
    return rng.integers(low, high, count, endpoint=True)


def nominal(tokens: int, share: float, count: int, rng: np.random.Generator) -> Ints:
    """Return lengths from ``share`` of ``tokens`` to all of it, as MLPerf's and vLLM's ranges are.

    Args:
        share: Of 0.8, lengths are uniform from 80 to 100 %.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share {share:g} is not above 0 and at most 1")
    return uniform(max(1, math.ceil(share * tokens)), tokens, count, rng)


def _check_rate(rate_per_s: float) -> None:
    if not 0 < rate_per_s < math.inf:
        raise ConfigError(f"rate {rate_per_s:g}/s is not above 0")
