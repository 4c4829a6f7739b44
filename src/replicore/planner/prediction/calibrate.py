"""Fit calibrations to observations: what all have in common, then each engine and device. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replicore.planner.prediction import priors
from replicore.planner.prediction.calibration import Calibration, Key, is_of_experts, key_of
from replicore.planner.prediction.fit import Array, Factors, fit_factors
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.prediction.residual import features
from replicore.planner.step.terms import tpot_terms, ttft_terms
from replicore.planner.step.traffic import Observation

# The common fit sees each engine and device with this weight in all, times the root of its rows:
# many rows of one must not decide for the others.
_WEIGHT_OF_EACH = 5.0

# Where nothing was measured, on top of the factors' own uncertainty.
_UNKNOWN_LOG_SD = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """One time of all observations that have it."""

    terms: Array
    seconds: Array
    keys: Sequence[Key]

    def of(self, key: Key) -> tuple[Array, Array]:
        chosen = np.array([each == key for each in self.keys])
        return self.terms[chosen], self.seconds[chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    common: Factors
    own: Mapping[Key, Factors]
    log_sd: Mapping[Key, float]


def uncalibrated() -> Predictor:
    """Return what is believed before any measurement."""
    return Predictor(common=_common(priors.TPOT.factors, priors.TTFT.factors, _UNKNOWN_LOG_SD))


def calibrate(
    observations: Sequence[Observation],
    *,
    source: str = "",
    tpot_prior: priors.Prior = priors.TPOT,
    ttft_prior: priors.Prior = priors.TTFT,
) -> Predictor:
    """Return a predictor with calibrations for every engine and device that was observed.

    Observations without TPOT say nothing about steps and are left out.

    Args:
        tpot_prior: What the fit of TPOT starts from; ``static_priors`` has that of static batches,
            which are calibrated on their own.
        ttft_prior: The same of TTFT.
    """
    seen = [each for each in observations if each.tpot_s is not None]
    if not seen:
        return uncalibrated()
    tpot = _fit(_tpot_times(seen), tpot_prior)
    with_ttft = [each for each in seen if each.ttft_s is not None]
    ttft = _fit(_ttft_times(with_ttft), ttft_prior) if with_ttft else None
    common_ttft = ttft.common if ttft is not None else ttft_prior.factors
    own = {key: _calibration(key, seen, tpot, ttft, source) for key in tpot.own}
    return Predictor(common=_common(tpot.common, common_ttft, _UNKNOWN_LOG_SD), own=own)


def _common(tpot: Factors, ttft: Factors, log_sd: float) -> Calibration:
    return Calibration(tpot=tpot, ttft=ttft, tpot_log_sd=log_sd, ttft_log_sd=2 * log_sd)


def _tpot_times(seen: Sequence[Observation]) -> _Times:
    return _Times(
        terms=np.array([tpot_terms(each.case) for each in seen]),
        seconds=np.array([each.tpot_s for each in seen], dtype=np.float64),
        keys=[key_of(each.case) for each in seen],
    )


def _ttft_times(seen: Sequence[Observation]) -> _Times:
    return _Times(
        terms=np.array([ttft_terms(each.case, each.tpot_s or 0.0) for each in seen]),
        seconds=np.array([each.ttft_s for each in seen], dtype=np.float64),
        keys=[key_of(each.case) for each in seen],
    )


def _fit(times: _Times, prior: priors.Prior) -> _Fitted:
    rows = Counter(times.keys)
    weights = _weights(times.keys, rows)
    common = fit_factors(
        times.terms,
        times.seconds,
        prior.factors,
        spread=2 * prior.spread,
        weights=weights,
        least=prior.least,
    )
    start = Factors(log=common.log, covariance=np.diag(prior.own_log_sd**2))
    own, log_sd = {}, {}
    for key in rows:
        terms, seconds = times.of(key)
        own[key] = fit_factors(terms, seconds, start, spread=prior.spread, least=prior.least)
        off = np.abs(np.log(own[key].predict(terms) / seconds))
        # The median makes it robust; the prior counts as much as four rows.
        found = 1.4826 * float(np.median(off))
        log_sd[key] = float(np.sqrt((rows[key] * found**2 + 4 * prior.spread**2) / (rows[key] + 4)))
    return _Fitted(common=_anybody(common, prior), own=own, log_sd=log_sd)


def _weights(keys: Sequence[Key], rows: Mapping[Key, int]) -> Array:
    """Return what each row counts for the common factors; those of experts only without others.

    Kernels for experts differ by more than engines do, and would decide for dense models.
    """
    weights = np.array([rows[key] ** -0.5 for key in keys])
    dense = np.array([not is_of_experts(key) for key in keys])
    if dense.any():
        weights *= dense
    counted = len(set(keys)) if not dense.any() else len({k for k in keys if not is_of_experts(k)})
    return np.asarray(weights * _WEIGHT_OF_EACH * counted / weights.sum())


def _anybody(common: Factors, prior: priors.Prior) -> Factors:
    """Return what to expect of an engine and device not seen: its own are off the common ones."""
    return Factors(log=common.log, covariance=common.covariance + np.diag(prior.own_log_sd**2))


def _calibration(
    key: Key, seen: Sequence[Observation], tpot: _Fitted, ttft: _Fitted | None, source: str
) -> Calibration:
    places = np.array([features(each.case) for each in seen if key_of(each.case) == key])
    has_ttft = ttft is not None and key in ttft.own
    return Calibration(
        tpot=tpot.own[key],
        ttft=ttft.own[key] if ttft is not None and has_ttft else priors.TTFT.factors,
        tpot_log_sd=tpot.log_sd[key],
        ttft_log_sd=ttft.log_sd[key] if ttft is not None and has_ttft else 2 * _UNKNOWN_LOG_SD,
        rows=len(places),
        lowest=tuple(map(float, places.min(axis=0))),
        highest=tuple(map(float, places.max(axis=0))),
        source=source,
    )
