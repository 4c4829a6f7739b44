"""What a fit leaves over, carried from measured cases to like ones: a Gaussian process. Pure.

A residual is the logarithm of measured over predicted. It has two parts: what all cases of one
deployment have in common (its model on this device, engine and precision), and what fades with the
distance between two cases, in doublings of tp, concurrency, lengths, parameters and weight bytes.
Where nothing like a case was measured its correction is 0, and its uncertainty is as large as
residuals are at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import hypot
from zlib import crc32

import numpy as np

from replicore.models.anatomy import Anatomy
from replicore.planner.prediction.fit import Array
from replicore.planner.step.traffic import Case

FEATURES = ("tp", "concurrency", "input tokens", "output tokens", "parameters", "weight bytes")


def features(case: Case) -> tuple[float, ...]:
    """Return where a case is, in the order of ``FEATURES``."""
    replica, traffic = case.replica, case.traffic
    parameters, stored = _sizes(replica.anatomy)
    return (
        replica.tp,
        traffic.concurrency,
        traffic.input_tokens,
        traffic.output_tokens,
        parameters,
        replica.precision.weight_bytes or stored,
    )


@lru_cache(maxsize=256)
def _sizes(anatomy: Anatomy) -> tuple[int, float]:
    """Return the parameters, and the bytes of one as it is stored, the mean."""
    return anatomy.parameters, anatomy.weight_bytes / anatomy.parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where cases are, for the kernel.

    Attributes:
        at: Logarithms (base 2) of the features, shape (cases, features).
        families: Number of the device and engine of each case.
        deployments: The same with the model and its precision.
        experts: Whether each case's model has experts, shape (cases,).
    """

    at: Array
    families: np.ndarray[tuple[int], np.dtype[np.int64]]
    deployments: np.ndarray[tuple[int], np.dtype[np.int64]]
    experts: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def __len__(self) -> int:
        return len(self.at)


def _family(case: Case) -> str:
    """Return the device and the engine, and whether it works through experts."""
    replica = case.replica
    kind = "dense" if replica.anatomy.experts is None else "experts"
    return f"{replica.device.key} {replica.engine} {kind}"


def _model(case: Case) -> str:
    anatomy, precision = case.replica.anatomy, case.replica.precision
    parameters, _ = _sizes(anatomy)
    return f"{parameters} {anatomy.weights.name} {precision}"


def places_of(cases: Sequence[Case]) -> Places:
    families = [_family(case) for case in cases]
    models = [_model(case) for case in cases]
    return Places(
        at=np.log2([features(case) for case in cases]),
        families=_numbers(families),
        deployments=_numbers([f"{a} {b}" for a, b in zip(families, models, strict=True)]),
        experts=np.array([case.replica.anatomy.experts is not None for case in cases]),
    )


def _numbers(names: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return a number for each name, the same one wherever the name is met."""
    return np.array([crc32(name.encode()) for name in names], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """How much two cases have in common.

    Attributes:
        reach: Doublings of each feature over which a residual fades.
        local: Standard deviation of what fades.
        shared: Share of it that other devices and engines have too.
        deployment: Standard deviation of what a deployment has in all its cases.
        noise: Of one measurement.
        experts: How many times larger residuals of models with experts are: which of them a token
            takes, and how kernels cope with it, is no term of any sum.
    """

    reach: tuple[float, ...]
    local: float
    shared: float
    deployment: float
    noise: float
    experts: float = 1.0

    def most(self, places: Places) -> Array:
        """Return the standard deviation of residuals where nothing is known, shape (cases,)."""
        return hypot(self.local, self.deployment) * self._scales(places)

    def between(self, a: Places, b: Places) -> Array:
        """Return the covariances, shape (cases of a, cases of b)."""
        apart = _squared_distances(a.at / np.array(self.reach), b.at / np.array(self.reach))
        same_family = a.families[:, None] == b.families[None, :]
        same_deployment = a.deployments[:, None] == b.deployments[None, :]
        alike = np.where(same_family, 1.0, self.shared)
        near = self.local**2 * np.exp(-apart / 2) * alike
        scales = self._scales(a)[:, None] * self._scales(b)[None, :]
        return np.asarray(scales * (near + self.deployment**2 * same_deployment))

    def _scales(self, places: Places) -> Array:
        return np.where(places.experts, self.experts, 1.0)


def _squared_distances(a: Array, b: Array) -> Array:
    """Return |a - b|^2 of each pair of rows, as |a|^2 + |b|^2 - 2 a b."""
    apart = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    return np.asarray(np.maximum(apart, 0.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Residuals that were found, and what follows from them for other cases."""

    kernel: Kernel
    places: Places
    cholesky: Array
    whitened: Array

    @classmethod
    def of(cls, kernel: Kernel, places: Places, residuals: Array) -> Residuals:
        """Take the residuals of measured cases, at least one."""
        known = kernel.between(places, places) + kernel.noise**2 * np.eye(len(places))
        cholesky = np.asarray(np.linalg.cholesky(known), dtype=np.float64)
        whitened = np.asarray(np.linalg.solve(cholesky, residuals), dtype=np.float64)
        return cls(kernel, places, cholesky, whitened)

    def correct(self, places: Places) -> tuple[Array, Array]:
        """Return the expected residual of each case and its standard deviation."""
        across = self.kernel.between(places, self.places)
        half = np.linalg.solve(self.cholesky, across.T)
        variance = self.kernel.most(places) ** 2 - (half**2).sum(axis=0)
        return half.T @ self.whitened, np.sqrt(np.clip(variance, 0.0, None))
