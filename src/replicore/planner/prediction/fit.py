"""Fit factors of terms to measured times: robust, in ratios, drawn to a prior. Pure.

A time is the sum of its terms, each times a factor. The factors are positive, so their logarithms
are fitted, and what is made small is the logarithm of predicted over measured: 10 % too fast and
10 % too slow weigh alike, and so do a small time and a large one. A factor that the measurements
say nothing about stays at its prior. That costs accuracy on average and buys choices that hold:
least squares alone drives the collectives' factor to 0 where it cannot be told apart.

Residuals count by Student's t with 4 degrees of freedom, so that a few odd rows do not decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FREEDOM = 4.0
_MOST_STEPS = 60
_CONVERGED = 1e-5
# Largest change of a factor's logarithm in one step.
_STRIDE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Factors with their uncertainty, both as logarithms.

    Attributes:
        log: Shape (terms,).
        covariance: Of ``log``, shape (terms, terms); Laplace's approximation.
    """

    log: Array
    covariance: Array

    @property
    def values(self) -> Array:
        return np.asarray(np.exp(self.log), dtype=np.float64)

    def predict(self, terms: Array) -> Array:
        """Return the seconds of each row of ``terms``, shape (rows, terms)."""
        return np.asarray(terms @ self.values, dtype=np.float64)

    def shares(self, terms: Array) -> Array:
        """Return which share of its time each term is, shape (rows, terms)."""
        parts = terms * self.values
        return np.asarray(parts / parts.sum(axis=1, keepdims=True))

    def log_sd(self, terms: Array) -> Array:
        """Return how uncertain the logarithm of each prediction is, by the factors alone."""
        shares = self.shares(terms)
        variance = np.einsum("ij,jk,ik->i", shares, self.covariance, shares)
        return np.asarray(np.sqrt(variance))


def prior_factors(values: Array, log_sd: Array) -> Factors:
    """Return factors as they are believed before any measurement."""
    return Factors(log=np.log(values), covariance=np.diag(log_sd**2))


def fit_factors(
    terms: Array,
    seconds: Array,
    prior: Factors,
    *,
    spread: float,
    weights: Array | None = None,
    least: Array | None = None,
) -> Factors:
    """Return the factors that fit best.

    Levenberg and Marquardt's method on iteratively reweighted residuals; a factor at its bound
    stays there as long as the fit would be better below.

    Args:
        terms: Shape (rows, terms), at least one of each row positive.
        seconds: Measured, shape (rows,), positive.
        spread: Standard deviation of log(predicted / measured) that is taken for noise.
        weights: What each row counts; None: 1.
        least: Below which no factor may be, shape (terms,); None: 0 for all.
    """
    precision = np.diag(1 / np.diag(prior.covariance))
    counts = np.ones(len(seconds)) if weights is None else weights
    lowest = np.full(len(prior.log), -np.inf) if least is None else _log(least)
    problem = _Problem(terms, np.log(seconds), prior.log, precision, spread, counts)
    log = np.maximum(prior.log, lowest)
    cost, damping = problem.cost(log), 1e-2
    for _ in range(_MOST_STEPS):
        slope, curvature = problem.slopes(log)
        damped = curvature + damping * np.diag(np.diag(curvature))
        free = (log > lowest) | (slope < 0)
        step = np.zeros(len(log))
        step[free] = np.linalg.solve(damped[np.ix_(free, free)], -slope[free])
        step = np.maximum(np.clip(step, -_STRIDE, _STRIDE), lowest - log)
        found = problem.cost(log + step)
        if found >= cost:
            damping *= 4
            if damping > 1e8:
                break
            continue
        gained, cost, log = cost - found, found, log + step
        damping = max(damping / 3, 1e-7)
        if gained < _CONVERGED:
            break
    _, curvature = problem.slopes(log)
    return Factors(log=log, covariance=np.asarray(np.linalg.inv(curvature), dtype=np.float64))


def _log(values: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Problem:
    terms: Array
    log_seconds: Array
    prior: Array
    precision: Array
    spread: float
    counts: Array

    def cost(self, log: Array) -> float:
        off = self._off(log) / self.spread
        data = self.counts @ np.log1p(off * off / _FREEDOM) * (_FREEDOM + 1) / 2
        away = log - self.prior
        return float(data + away @ self.precision @ away / 2)

    def slopes(self, log: Array) -> tuple[Array, Array]:
        """Return the gradient, and Gauss and Newton's approximation of the second derivatives."""
        parts = self.terms * np.exp(log)
        shares = parts / parts.sum(axis=1, keepdims=True)
        off = self._off(log)
        robust = (_FREEDOM + 1) / (_FREEDOM + (off / self.spread) ** 2)
        weight = self.counts * robust / self.spread**2
        slope = shares.T @ (weight * off) + self.precision @ (log - self.prior)
        return slope, (shares * weight[:, None]).T @ shares + self.precision

    def _off(self, log: Array) -> Array:
        return np.asarray(np.log(self.terms @ np.exp(log)) - self.log_seconds)
