"""One configuration against another: ratios with intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.bootstrap import moving_blocks
from replicore.bench.stats.rates import Rate
from replicore.bench.stats.tails import student_t
from replicore.errors import UndefinedMetric

Statistic = Callable[[Floats], float]
Better = Literal["higher", "lower"]

_RESAMPLES = 4000
# With fewer, a resample repeats the sample.
_LEAST_BLOCKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Scaling efficiency with its 95 % interval; None where a rate has none."""

    value: float
    low: float | None = None
    high: float | None = None


def scaling_efficiency(rate: Rate, replicas: int, one: Rate) -> Efficiency:
    """Return how much of N times one replica's rate N replicas reach; 1 is perfect.

    efficiency e = rate(N) / (N rate(1)), with the interval of a ratio of independent rates:
    log e - low = sqrt((log rate(N) - its low)^2 + (log rate(1) - its high)^2), and so upwards.

    Raises:
        UndefinedMetric: A rate is 0.

    Source: Donner and Zou 2012, Closed-form confidence intervals for functions of the normal mean
    and standard deviation, here of logarithms.
    """
    if not (rate.value > 0 and one.value > 0):
        raise UndefinedMetric("scaling efficiency needs two rates above 0")
    value = rate.value / (replicas * one.value)
    if not (rate.low and rate.high and one.low and one.high):
        return Efficiency(value=value)
    down = math.hypot(math.log(rate.value / rate.low), math.log(one.high / one.value))
    up = math.hypot(math.log(rate.high / rate.value), math.log(one.value / one.low))
    return Efficiency(value=value, low=value * math.exp(-down), high=value * math.exp(up))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One configuration's number over another's, with its 95 % interval.

    Attributes:
        improvement: Probability that the first is the better one, 0 to 1.
        p_value: Two-sided, of there being no difference.
    """

    value: float
    low: float
    high: float
    improvement: float
    p_value: float


def mean(values: Floats) -> float:
    return float(values.mean())


def quantile(p: float) -> Statistic:
    """Return the statistic that is the quantile ``p`` of its values, 0 to 1, as numpy has it.

    It is drawn thousands of times, and takes a tenth of numpy's time.
    """

    def statistic(values: Floats) -> float:
        place = (len(values) - 1) * p
        below = int(place)
        parted = np.partition(values, below)
        low = float(parted[below])
        high = float(parted[below + 1 :].min()) if place > below else low
        return low + (place - below) * (high - low)

    return statistic


def paired_ratio(
    ours: Sequence[float] | Floats,
    theirs: Sequence[float] | Floats,
    *,
    better: Better,
    block: int = 10,
    statistic: Statistic = mean,
    seed: int = 0,
) -> Ratio:
    """Return a ratio of two series that were measured on the same things in the same order.

    Both are resampled together, so what they have in common drops out.

    Args:
        block: Neighbours that may depend on each other: max(10, concurrency) of requests, 1 of
            whole runs. Blocks are at least that long.

    Raises:
        UndefinedMetric: Fewer than five blocks, or their number is 0.
        ValueError: The series differ in length.
    """
    first, second = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values cannot be paired with {len(second)}")
    length = _block_length(len(first), block)
    rng = np.random.default_rng(seed)

    def draw() -> float:
        chosen = moving_blocks(len(first), length, rng)
        return _over(statistic(first[chosen]), statistic(second[chosen]))

    value = _over(statistic(first), statistic(second))
    return _ratio(value, draw, len(first) / length, better)


def _block_length(count: int, block: int) -> int:
    """Return the length of blocks: the root of the sample's, if values depend on each other.

    Blocks as short as the dependence cut it off at their ends, and the interval gets too narrow.
    """
    if count < _LEAST_BLOCKS * block:
        raise UndefinedMetric(
            f"{count} values are fewer than {_LEAST_BLOCKS} blocks of {block}, so there is no "
            "interval of their ratio"
        )
    return block if block == 1 else max(block, math.isqrt(count))


def _over(ours: float, theirs: float) -> float:
    if not theirs:
        raise UndefinedMetric("a ratio to 0 is undefined")
    return ours / theirs


def _ratio(value: float, draw: Callable[[], float], blocks: float, better: Better) -> Ratio:
    """Return the percentile interval, widened for a sample of few blocks.

    With k blocks its ends are the quantiles Phi(-+ t_(k-1) sqrt(k / (k - 1))) of the resamples.

    Source: Hesterberg 2015, What teachers should know about the bootstrap, 4.3.
    """
    drawn = np.array([draw() for _ in range(_RESAMPLES)])
    tail = NormalDist().cdf(-student_t(blocks - 1) * math.sqrt(blocks / (blocks - 1)))
    low, high = np.quantile(drawn, (tail, 1 - tail)).tolist()
    above = float((np.sum(drawn > 1) + np.sum(drawn == 1) / 2) / _RESAMPLES)
    fewer = min(np.sum(drawn <= 1), np.sum(drawn >= 1))
    return Ratio(
        value=value,
        low=low,
        high=high,
        improvement=above if better == "higher" else 1 - above,
        # One more on each side: no finite number of resamples makes it 0.
        p_value=min(1.0, 2 * (float(fewer) + 1) / (_RESAMPLES + 1)),
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted for there being several: below 5 %, one in twenty *sets* errs.

    Sorted ascending, p'_i = max over j <= i of min(1, (m - j + 1) p_j).

    Source: Holm 1979.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return tuple(adjusted)
