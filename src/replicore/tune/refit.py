"""Draw the factors of an engine on a device to what was measured here. Pure.

Where the planner knows little of a device its factors may be off by more than any correction of
like cases makes up for. So they are fitted anew to the runs, starting from what was believed: what
the runs say nothing about stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from replicore.planner.prediction import priors
from replicore.planner.prediction.calibration import Calibration, Key, key_of
from replicore.planner.prediction.fit import Array, Factors, fit_factors
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.prediction.residual import features
from replicore.planner.step.terms import tpot_terms, ttft_terms
from replicore.planner.step.traffic import Observation, newest

# What was believed before counts as much as so many rows when the spread is estimated.
_ROWS_OF_PRIOR = 4

# The median of absolute values, as a standard deviation.
_MEDIAN_TO_SD = 1.4826


def learnt(
    start: Predictor, observations: Sequence[Observation], remembered: Sequence[Observation] = ()
) -> Predictor:
    """Return a predictor that knows of these observations: its factors first, then residuals.

    Args:
        remembered: Of former runs, which the factors of ``start`` know of already.
    """
    if not observations:
        return start
    by_key: dict[Key, list[Observation]] = {}
    for seen in observations:
        if seen.tpot_s is not None:
            by_key.setdefault(key_of(seen.case), []).append(seen)
    own: Mapping[Key, Calibration] = {
        **start.own,
        **{key: refitted(start, key, seen) for key, seen in by_key.items()},
    }
    return replace(start, own=own).learn(newest([*remembered, *observations]))


def refitted(start: Predictor, key: Key, seen: Sequence[Observation]) -> Calibration:
    """Return the calibration of an engine on a device after observations of it, all with TPOT."""
    known = start.own.get(key)
    before = start.common if known is None else known
    with_ttft = [each for each in seen if each.ttft_s is not None]
    tpot, tpot_log_sd = _fit(before.tpot, before.tpot_log_sd, _tpot_rows(seen), priors.TPOT.spread)
    ttft, ttft_log_sd = before.ttft, before.ttft_log_sd
    if with_ttft:
        ttft, ttft_log_sd = _fit(ttft, ttft_log_sd, _ttft_rows(with_ttft), priors.TTFT.spread)
    lowest, highest = _limits(known, seen)
    return replace(
        before,
        tpot=tpot,
        ttft=ttft,
        tpot_log_sd=tpot_log_sd,
        ttft_log_sd=ttft_log_sd,
        rows=before.rows + len(seen),
        lowest=lowest,
        highest=highest,
    )


def _tpot_rows(seen: Sequence[Observation]) -> tuple[Array, Array]:
    terms = np.array([tpot_terms(each.case) for each in seen])
    return terms, np.array([each.tpot_s for each in seen], dtype=np.float64)


def _ttft_rows(seen: Sequence[Observation]) -> tuple[Array, Array]:
    terms = np.array([ttft_terms(each.case, each.tpot_s or 0.0) for each in seen])
    return terms, np.array([each.ttft_s for each in seen], dtype=np.float64)


def _fit(
    before: Factors, log_sd: float, rows: tuple[Array, Array], spread: float
) -> tuple[Factors, float]:
    """Return the factors, and the spread of measurements around them."""
    terms, seconds = rows
    found = fit_factors(terms, seconds, before, spread=spread)
    off = np.abs(np.log(found.predict(terms) / seconds))
    sd = _MEDIAN_TO_SD * float(np.median(off))
    count = len(seconds)
    mixed = (count * sd**2 + _ROWS_OF_PRIOR * log_sd**2) / (count + _ROWS_OF_PRIOR)
    return found, float(np.sqrt(mixed))


def _limits(
    known: Calibration | None, seen: Sequence[Observation]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the lowest and the highest of each feature that was ever measured."""
    places = [features(each.case) for each in seen]
    if known is not None and known.rows:
        places += [known.lowest, known.highest]
    columns = list(zip(*places, strict=True))
    return tuple(float(min(c)) for c in columns), tuple(float(max(c)) for c in columns)
