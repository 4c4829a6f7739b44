"""Predict TTFT and TPOT of cases, with their uncertainty. Pure.

Two stages: factors times terms (``calibration.py``), then the correction that measured cases like
it call for (``residual.py``). Shipped calibrations have the first only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from replicore.planner.prediction import priors
from replicore.planner.prediction.calibration import Calibration, Key, key_of
from replicore.planner.prediction.fit import Array, Factors
from replicore.planner.prediction.residual import Kernel, Places, Residuals, places_of
from replicore.planner.step.terms import tpot_terms, ttft_terms
from replicore.planner.step.traffic import Case, Observation

# A residual beyond a factor of 4.5 is no small correction any more.
_LARGEST_RESIDUAL = 1.5

# Of what a fit leaves over, so much is no more like that of neighbours than any noise.
_UNLIKE_NEIGHBOURS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """One time, TTFT or TPOT, of cases in their order.

    Attributes:
        seconds: The median of what is expected, shape (cases,).
        log_sd: Standard deviation of the logarithm of measured over predicted, shape (cases,).
        shares: Share of each term, shape (cases, terms).
    """

    seconds: Array
    log_sd: Array
    shares: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """What is known of all engines and devices.

    Attributes:
        common: For an engine and device without a calibration of their own.
        own: By device and engine.
        observations: What was learnt.
        tpot_residuals: Of what was learnt; None without any TPOT.
        ttft_residuals: Likewise.
    """

    common: Calibration
    own: Mapping[Key, Calibration] = field(default_factory=dict)
    observations: tuple[Observation, ...] = ()
    tpot_residuals: Residuals | None = None
    ttft_residuals: Residuals | None = None

    def calibration(self, case: Case) -> Calibration:
        """Return that of the device and engine; else of its kind of device; else the common one."""
        device, engine = key_of(case)
        of_kind = self.own.get((case.replica.device.kind, engine), self.common)
        return self.own.get((device, engine), of_kind)

    def tpot(self, cases: Sequence[Case]) -> Times:
        terms = np.array([tpot_terms(case) for case in cases])
        used = [self.calibration(case) for case in cases]
        times = _apply(terms, [c.tpot for c in used], [c.tpot_log_sd for c in used])
        return _corrected(times, self.tpot_residuals, cases)

    def ttft(self, cases: Sequence[Case], tpot_s: Array) -> Times:
        """Return TTFT in a closed loop.

        Args:
            tpot_s: Of each case, predicted or measured, shape (cases,).
        """
        terms = np.array([ttft_terms(case, at) for case, at in zip(cases, tpot_s, strict=True)])
        used = [self.calibration(case) for case in cases]
        times = _apply(terms, [c.ttft for c in used], [c.ttft_log_sd for c in used])
        return _corrected(times, self.ttft_residuals, cases)

    def learn(
        self,
        observations: Sequence[Observation],
        *,
        tpot_kernel: Kernel = priors.TPOT.kernel,
        ttft_kernel: Kernel = priors.TTFT.kernel,
    ) -> Predictor:
        """Return a predictor that is corrected by these observations, and by no others."""
        bare = replace(self, tpot_residuals=None, ttft_residuals=None)
        with_tpot = [seen for seen in observations if seen.tpot_s is not None]
        with_ttft = [seen for seen in with_tpot if seen.ttft_s is not None]
        return replace(
            bare,
            observations=tuple(observations),
            tpot_residuals=_tpot_residuals(bare, with_tpot, tpot_kernel),
            ttft_residuals=_ttft_residuals(bare, with_ttft, ttft_kernel),
        )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Times by factors alone; the variances are of logarithms."""

    times: Times
    of_factors: Array
    of_fit: Array


def _apply(terms: Array, factors: Sequence[Factors], log_sds: Sequence[float]) -> _Fitted:
    parts = terms * np.array([each.values for each in factors])
    seconds = parts.sum(axis=1)
    shares = parts / seconds[:, None]
    covariances = np.array([each.covariance for each in factors])
    of_factors = np.einsum("ij,ijk,ik->i", shares, covariances, shares)
    of_fit = np.array(log_sds) ** 2
    times = Times(seconds=seconds, log_sd=np.sqrt(of_factors + of_fit), shares=shares)
    return _Fitted(times, of_factors, of_fit)


def _corrected(fitted: _Fitted, residuals: Residuals | None, cases: Sequence[Case]) -> Times:
    if residuals is None:
        return fitted.times
    times, kernel, places = fitted.times, residuals.kernel, places_of(cases)
    mean, left = residuals.correct(places)
    # Where a case is known well, so is the sum of its terms, whatever the factors are.
    unknown = np.clip(left / kernel.most(places), 0.0, 1.0)
    noise = kernel.noise**2 + _UNLIKE_NEIGHBOURS**2 * fitted.of_fit
    log_sd = np.sqrt(noise + left**2 + unknown**2 * fitted.of_factors)
    return replace(times, seconds=times.seconds * np.exp(mean), log_sd=log_sd)


def _tpot_residuals(
    bare: Predictor, seen: Sequence[Observation], kernel: Kernel
) -> Residuals | None:
    if not seen:
        return None
    cases = [each.case for each in seen]
    measured = np.array([each.tpot_s for each in seen], dtype=np.float64)
    off = np.log(measured / bare.tpot(cases).seconds)
    return _residuals(kernel, places_of(cases), off)


def _ttft_residuals(
    bare: Predictor, seen: Sequence[Observation], kernel: Kernel
) -> Residuals | None:
    """TTFT's terms take the measured TPOT, so that its error is not counted twice."""
    if not seen:
        return None
    cases = [each.case for each in seen]
    measured = np.array([each.ttft_s for each in seen], dtype=np.float64)
    tpot = np.array([each.tpot_s for each in seen], dtype=np.float64)
    off = np.log(measured / bare.ttft(cases, tpot).seconds)
    return _residuals(kernel, places_of(cases), off)


def _residuals(kernel: Kernel, places: Places, off: Array) -> Residuals:
    limited = np.clip(off, -_LARGEST_RESIDUAL, _LARGEST_RESIDUAL)
    return Residuals.of(kernel, places, limited)
