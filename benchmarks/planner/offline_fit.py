"""Predict offline throughput of runs that were held out, with settings that never saw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from benchmarks.planner.offline_rows import OfflineRun, Settings
from benchmarks.planner.tp_choice import achieved
from replicore.planner.prediction import priors
from replicore.planner.prediction.fit import Array, Factors, fit_factors

# What a run is held out with: all that have the same.
Group = Callable[[OfflineRun], Hashable]

GRID = tuple(
    Settings(own_use_bytes=own_use, max_batch=batch, firmness=firmness)
    for own_use, batch, firmness in product((1e9, 2e9, 3e9), (2048, 4096), (0.3, 1.0, 3.0, 10.0))
)

# What is thought of them before any row is looked at: 2048 is the engine's own default.
USUAL = Settings(own_use_bytes=2e9, max_batch=2048, firmness=1.0)

# Groups are held out together in so many parts where settings are chosen.
_INNER_FOLDS = 4

# How much of the achieved throughput a median error is worth where settings are chosen.
_ERROR_WEIGHT = 0.1


def predicted(train: Sequence[OfflineRun], test: Sequence[OfflineRun], used: Settings) -> Array:
    """Return tok/s of each of ``test``, by factors that are fitted to ``train``."""
    common = _common(train, used)
    start = Factors(log=common.log, covariance=np.diag(priors.TPOT.own_log_sd**2) / used.firmness)
    own = {
        family: _fitted([run for run in train if run.family == family], start, used)
        for family in {run.family for run in train} & {run.family for run in test}
    }
    factors = np.array([own.get(run.family, common).values for run in test])
    return np.asarray(1 / (_terms(tuple(test), used) * factors).sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Predictions of runs that were held out.

    Attributes:
        tok_s: Shape (runs,).
        settings: Those that were used, of each fold.
    """

    tok_s: Array
    settings: tuple[Settings, ...]


Predict = Callable[[Sequence[OfflineRun], Sequence[OfflineRun], Group], Held]


def nested(train: Sequence[OfflineRun], test: Sequence[OfflineRun], group: Group) -> Held:
    """Predict ``test`` by the settings that are best at predicting groups held out of ``train``."""
    if len(set(map(group, train))) < 2:
        return usual(train, test, group)
    best = max(GRID, key=lambda settings: _worth(train, group, settings))
    return Held(tok_s=predicted(train, test, best), settings=(best,))


def usual(train: Sequence[OfflineRun], test: Sequence[OfflineRun], group: Group) -> Held:
    """Predict ``test`` by settings that no row chose."""
    return Held(tok_s=predicted(train, test, USUAL), settings=(USUAL,))


def held_out(runs: Sequence[OfflineRun], group: Group, predict: Predict) -> Held:
    """Predict each run from the runs of other groups."""
    tok_s = np.zeros(len(runs))
    settings: list[Settings] = []
    groups = [group(run) for run in runs]
    for one in dict.fromkeys(groups):
        inside = np.array([each == one for each in groups])
        train = [run for run, held in zip(runs, inside, strict=True) if not held]
        test = [run for run, held in zip(runs, inside, strict=True) if held]
        found = predict(train, test, group)
        tok_s[inside] = found.tok_s
        settings += found.settings
    return Held(tok_s=tok_s, settings=tuple(settings))


def _worth(runs: Sequence[OfflineRun], group: Group, settings: Settings) -> float:
    folds = {each: at % _INNER_FOLDS for at, each in enumerate(dict.fromkeys(map(group, runs)))}

    def predict(train: Sequence[OfflineRun], test: Sequence[OfflineRun], _: Group) -> Held:
        return Held(tok_s=predicted(train, test, settings), settings=(settings,))

    tok_s = held_out(runs, lambda run: folds[group(run)], predict).tok_s
    shares = [each.achieved for each in achieved(runs, tok_s)]
    off = np.abs(np.log(tok_s / np.array([run.tok_s for run in runs])))
    return float(np.mean(shares) if shares else 1.0) - _ERROR_WEIGHT * float(np.median(off))


def _common(train: Sequence[OfflineRun], used: Settings) -> Factors:
    """Fit what all families have in common; none of them decides alone, as in calibrate.py."""
    prior = priors.TPOT
    start = Factors(log=prior.factors.log, covariance=prior.factors.covariance / used.firmness)
    if not train:
        return start
    rows = Counter(run.family for run in train)
    weights = np.array([rows[run.family] ** -0.5 for run in train])
    weights *= 5 * len(rows) / weights.sum()
    return _fitted(train, start, used, spread=2 * prior.spread, weights=weights)


def _fitted(
    runs: Sequence[OfflineRun],
    start: Factors,
    used: Settings,
    *,
    spread: float = priors.TPOT.spread,
    weights: Array | None = None,
) -> Factors:
    seconds = np.array([1 / run.tok_s for run in runs])
    return fit_factors(_terms(tuple(runs), used), seconds, start, spread=spread, weights=weights)


def _terms(runs: tuple[OfflineRun, ...], used: Settings) -> Array:
    return np.array([_of_one(run, used.own_use_bytes, used.max_batch) for run in runs])


@cache
def _of_one(run: OfflineRun, own_use_bytes: float, max_batch: int) -> Array:
    used = Settings(own_use_bytes=own_use_bytes, max_batch=max_batch, firmness=1.0)
    return run.terms(used)
