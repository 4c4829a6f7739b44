"""Pick among candidates by what is believed of them, and say which to measure next. Pure.

A candidate's objective is taken as log-normal, larger being better. The objective and the limits
follow from the same times: a faster run is better and within the limits too. So the runs that meet
the limits are those of the upper end of the objective's distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, inf, sqrt
from statistics import NormalDist

import numpy as np

from replicore.planner.prediction.fit import Array

_NORMAL = NormalDist()

# A gain below this share of the best is not worth a run.
_LEAST_GAIN = 0.01

# In place of nothing, to divide by or to take a logarithm of.
_LEAST_LOG_SD = 1e-6
_NEARLY_NEVER = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prospects:
    """What is believed of candidates, in their order; all arrays have shape (candidates,).

    Attributes:
        value: Median of the objective, positive, larger is better: tok/s per core, 1 / TTFT.
        log_sd: Standard deviation of its logarithm; of no account where it was measured.
        meets: Probability of meeting all limits; 0 or 1 where it was measured.
        measured: Whether it was.
    """

    value: Array
    log_sd: Array
    meets: Array
    measured: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A candidate, by its place.

    Attributes:
        meets: Probability that it meets all limits.
        worth: Its objective times that: where a limit is broken nothing is gained.
    """

    index: int
    meets: float
    worth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """A candidate to measure, by its place.

    Attributes:
        beats: Probability that it meets all limits and is better than the best that was measured.
        gain: Expected gain over that, as a share of it; infinite where nothing valid was measured.
    """

    index: int
    beats: float
    gain: float


def chance(seconds: Array, log_sd: Array, limit_s: float | None) -> Array:
    """Return the probability that times are within a limit; 1 where there is none."""
    if limit_s is None:
        return np.ones(len(seconds))
    return _below(np.log(limit_s / seconds) / np.maximum(log_sd, _LEAST_LOG_SD))


def choose(prospects: Prospects, *, risk: float) -> Choice:
    """Return the candidate of most worth among those that break a limit with ``risk`` at most.

    Where no candidate is that safe: the one that is most likely to meet the limits.
    """
    safe = prospects.meets >= 1.0 - risk
    worth = prospects.value * prospects.meets
    ranked = np.where(safe, worth, -inf) if safe.any() else prospects.meets
    index = int(np.argmax(ranked))
    return Choice(index=index, meets=float(prospects.meets[index]), worth=float(worth[index]))


def next_run(prospects: Prospects, *, risk: float) -> NextRun | None:
    """Return what to measure next: the pick, or what is expected to gain most over what was.

    None where no unmeasured candidate is better with a probability above ``risk``.
    """
    best = _best_measured(prospects)
    beats, gain = _beating(prospects, best)
    worth_it = ~prospects.measured & (beats > risk)
    if not worth_it.any():
        return None
    pick = choose(prospects, risk=risk).index
    index = pick if worth_it[pick] else int(np.argmax(np.where(worth_it, gain, -inf)))
    return NextRun(index=index, beats=float(beats[index]), gain=float(gain[index]))


def _best_measured(prospects: Prospects) -> float | None:
    """Return the best objective of what was measured and met all limits."""
    valid = prospects.measured & (prospects.meets >= 1.0)
    return float(prospects.value[valid].max()) if valid.any() else None


def _beating(prospects: Prospects, best: float | None) -> tuple[Array, Array]:
    """Return the probability to beat ``best`` within the limits, and the expected share gained.

    V exp(s^2 / 2) Phi(s - z) - best Phi(-z), with z where both the limits are met and it is beaten.
    """
    if best is None:
        return prospects.meets, np.where(prospects.meets > 0, inf, 0.0)
    log_sd = np.maximum(prospects.log_sd, _LEAST_LOG_SD)
    to_beat = np.log(best * (1 + _LEAST_GAIN) / prospects.value) / log_sd
    beyond = np.maximum(to_beat, -_quantile(prospects.meets))
    mean = prospects.value * np.exp(log_sd**2 / 2)
    gain = mean * _below(log_sd - beyond) - best * _below(-beyond)
    return _below(-beyond), np.maximum(gain / best, 0.0)


def _below(deviates: Array) -> Array:
    """Return the normal distribution's probability of less."""
    return np.array([erfc(-deviate / sqrt(2)) / 2 for deviate in deviates])


def _quantile(probabilities: Array) -> Array:
    """Return the inverse of :func:`_below`; what is certain counts as nearly so."""
    inside = np.clip(probabilities, _NEARLY_NEVER, 1 - _NEARLY_NEVER)
    return np.array([_NORMAL.inv_cdf(one) for one in inside])
