"""How many tokens a prompt or an answer has: distributions of whole numbers from 1 up. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from replicore.errors import ConfigError

# A normal length above this many deviations over the mean is one in 30,000.
_FAR = 4.0


@dataclass(frozen=True, slots=True)
class Lengths:
    """A number of tokens per request: normal, rounded, redrawn while below 1.

    :meth:`uniform` and :meth:`of` make the other distributions.

    Attributes:
        mean: Of the distribution, in tokens.
        stddev: Its standard deviation; 0 for a fixed length.
        bounds: Smallest and largest length of a uniform distribution, both inclusive.
        values: Sorted lengths of an empirical distribution, each equally likely.

    Raises:
        ConfigError: ``mean`` below 1 or ``stddev`` below 0.
    """

    mean: float
    stddev: float = 0.0
    bounds: tuple[int, int] | None = None
    values: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.mean < math.inf:
            raise ConfigError(f"mean length {self.mean:g} is not a number of at least 1 token")
        if not 0 <= self.stddev < math.inf:
            raise ConfigError(f"length deviation {self.stddev:g} is not a number of at least 0")

    @classmethod
    def uniform(cls, low: int, high: int) -> Lengths:
        """Return every length from ``low`` to ``high``, both inclusive, with the same chance.

        Raises:
            ConfigError: ``low`` below 1 or above ``high``.
        """
        if not 1 <= low <= high:
            raise ConfigError(f"lengths {low}..{high}: 1 <= low <= high must hold")
        stddev = math.sqrt(((high - low + 1) ** 2 - 1) / 12)
        return cls((low + high) / 2, stddev, bounds=(low, high))

    @classmethod
    def of(cls, lengths: Iterable[int]) -> Lengths:
        """Return the empirical distribution of ``lengths``.

        Raises:
            ConfigError: There are none, or one is below 1.
        """
        values = tuple(sorted(lengths))
        if not values:
            raise ConfigError("there are no lengths to draw from")
        if values[0] < 1:
            raise ConfigError(f"length {values[0]} is below 1 token")
        return cls(float(np.mean(values)), float(np.std(values)), values=values)

    def __str__(self) -> str:
        if self.bounds is not None:
            return "uniform:{}..{}".format(*self.bounds)
        return f"{self.mean:g}±{self.stddev:g}" if self.stddev else f"{self.mean:g}"

    @property
    def fixed(self) -> bool:
        """Whether all lengths are the same."""
        return self.stddev == 0

    @property
    def likely_longest(self) -> int:
        """A length that hardly any draw exceeds: the largest one, or mean + 4 deviations."""
        if self.bounds is not None:
            return self.bounds[1]
        return self.values[-1] if self.values else math.ceil(self.mean + _FAR * self.stddev)

    def draw(self, rng: np.random.Generator) -> int:
        """Return one length, at least 1."""
        return self.from_uniforms(iter(rng.random, 1.0))

    def from_uniforms(self, chance: Iterator[float]) -> int:
        """Return one length, at least 1, by inverting the distribution.

        Args:
            chance: Numbers between 0 and 1; one is used, and more where a normal is redrawn.
        """
        if self.bounds is not None:
            low, high = self.bounds
            return low + int(next(chance) * (high - low + 1))
        if self.values:
            return self.values[int(next(chance) * len(self.values))]
        return self._normal(chance)

    def _normal(self, chance: Iterator[float]) -> int:
        if not self.stddev:
            return round(self.mean)
        normal = NormalDist(self.mean, self.stddev)
        # With a mean of at least 1 two draws are enough on average.
        return next(length for u in chance if (length := round(normal.inv_cdf(u))) >= 1)
