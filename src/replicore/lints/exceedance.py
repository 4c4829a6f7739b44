"""How likely a request is longer than a slot, from the workload's two normal distributions. Pure.

The benchmark draws each length from a normal distribution, rounds it, and draws again while it is
below 1 (``bench/load/lengths.py``). So a length is a rounded normal above 0.5, and the sum of two
of them is summed here over every length of the narrower one::

    P(a + b > n) = sum over i of P(a = i) x P(b > n - i)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import erfc, sqrt

# Beyond so many deviations a normal has 1e-19 of its mass.
_FAR = 9.0

# The sum is over at most so many stretches of lengths. Where a deviation is over a hundred tokens a
# stretch is longer than one, at most 1/100 of the deviation: an error of a millionth, for the
# wider distribution hardly changes over it.
_STRETCHES = 2_000


@dataclass(frozen=True, slots=True)
class Length:
    """A number of tokens as the benchmark draws it.

    Attributes:
        mean: Of the normal, in tokens; at least 1.
        stddev: Of the normal, in tokens; 0 for a fixed length.
    """

    mean: float
    stddev: float

    def above(self, tokens: float) -> float:
        """Return the chance that a draw is more than ``tokens``, a whole number."""
        if tokens < 1:
            return 1.0
        if not self.stddev:
            return 1.0 if round(self.mean) > tokens else 0.0
        return self._tail(tokens + 0.5) / self._tail(0.5)

    def _tail(self, value: float) -> float:
        # By erfc and not by 1 - cdf, which is exactly 0 from 8.3 deviations on.
        return 0.5 * erfc((value - self.mean) / (self.stddev * sqrt(2)))


def chance_above(prompt: Length, output: Length, tokens: int) -> float:
    """Return the chance that a request has more than ``tokens``, prompt plus output."""
    narrow, wide = sorted((prompt, output), key=lambda length: length.stddev)
    return sum(chance * wide.above(tokens - middle) for chance, middle in _stretches(narrow))


def rarely_above(prompt: Length, output: Length, chance: float) -> int:
    """Return the smallest length that requests exceed with at most ``chance``, in tokens."""
    low, high = 1, 2
    while chance_above(prompt, output, high) > chance:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if chance_above(prompt, output, middle) > chance:
            low = middle + 1
        else:
            high = middle
    return low


def _stretches(length: Length) -> Iterator[tuple[float, int]]:
    """Yield the chance of each stretch of lengths, and the length in its middle."""
    if not length.stddev:
        yield 1.0, round(length.mean)
        return
    reach = _FAR * length.stddev
    first, last = max(1, int(length.mean - reach)), int(length.mean + reach) + 1
    step = 1 + (last - first) // _STRETCHES
    above = 1.0
    for start in range(first, last + 1, step):
        beyond = length.above(start + step - 1)
        yield above - beyond, start + (step - 1) // 2
        above = beyond
