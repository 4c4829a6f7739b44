"""Choose the spread and the kernel of ``planner/prediction/priors.py`` by cross-validation.

    python -m benchmarks.planner.choose --rows ROWS.csv

Nested: of the rows only a random half is looked at, that on which nothing is reported by the same
seed; the dense ones decide, and models with experts only by how much larger their residuals are.
Within it rows are predicted from others that have another workload, model, or device and
engine. What is made small is the mean of -log(density) of what was measured, so that errors count
and so do intervals that are too wide or too narrow. One setting at a time is made larger or
smaller, as long as that helps.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.planner.online import KINDS, kind_of
from benchmarks.planner.rows import Row, read_rows
from benchmarks.planner.splits import folds, group_of, halves, model_of, without, workload_of
from replicore.planner.prediction import priors
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.predictor import Times
from replicore.planner.prediction.priors import Prior

_SPLITS = (folds, without(workload_of), without(model_of), without(group_of))
_STEPS = (0.7, 1.4)

# Nothing that is so far off decides more than this.
_WORST = 4.0

Score = Callable[[Prior, Sequence[Row], Sequence[Row]], Array]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=Path, nargs="+", required=True, metavar="CSV")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    rows = [row for path in arguments.rows for row in read_rows(path)]
    for (time, (prior, score)), kind in product(TIMES.items(), KINDS):
        known, _ = next(halves([row for row in rows if is_complete(row) and kind_of(row) == kind]))
        names = [name for name in settings(prior) if (name == "experts") == (kind == "experts")]
        for told in chosen(prior, score, known, names, arguments.rounds):
            print(time, kind, told, flush=True)


def is_complete(row: Row) -> bool:
    """Whether a row was answered and has both times."""
    return row.observation is not None and row.measured.ttft_s is not None


def chosen(
    prior: Prior, score: Score, rows: Sequence[Row], names: Iterable[str], rounds: int
) -> Iterator[str]:
    """Yield each of these settings that made the score better, and the score."""
    best = mean_score(prior, score, rows)
    yield f"start: {best:.4f}"
    for _ in range(rounds):
        for name in names:
            for step in _STEPS:
                tried = changed(prior, name, step)
                found = mean_score(tried, score, rows)
                if found < best:
                    best, prior = found, tried
                    yield f"{name} = {settings(prior)[name]:.3g}: {best:.4f}"


def settings(prior: Prior) -> Mapping[str, float]:
    kernel = prior.kernel
    reach = {f"reach {place}": value for place, value in enumerate(kernel.reach)}
    names = ("local", "shared", "deployment", "noise", "experts")
    return {"spread": prior.spread, **{n: getattr(kernel, n) for n in names}, **reach}


def changed(prior: Prior, name: str, by: float) -> Prior:
    """Return a prior with one setting multiplied."""
    if name == "spread":
        return replace(prior, spread=by * prior.spread)
    kernel = prior.kernel
    if name.startswith("reach "):
        place = int(name.removeprefix("reach "))
        reach = [by * value if at == place else value for at, value in enumerate(kernel.reach)]
        return replace(prior, kernel=replace(kernel, reach=tuple(reach)))
    return replace(prior, kernel=replace(kernel, **{name: by * getattr(kernel, name)}))


def mean_score(prior: Prior, score: Score, rows: Sequence[Row]) -> float:
    """Return the mean over the splits, each of which counts the same."""
    means = []
    for split in _SPLITS:
        parts = [score(prior, known, out) for known, out in split(rows)]
        means.append(float(np.minimum(np.concatenate(parts), _WORST).mean()))
    return float(np.mean(means))


def tpot_score(prior: Prior, known: Sequence[Row], out: Sequence[Row]) -> Array:
    seen = [row.measured for row in known]
    predictor = calibrate(seen, tpot_prior=prior).learn(seen, tpot_kernel=prior.kernel)
    times = predictor.tpot([row.case for row in out])
    return density(times, [row.measured.tpot_s for row in out])


def ttft_score(prior: Prior, known: Sequence[Row], out: Sequence[Row]) -> Array:
    """By the measured TPOT, so that TTFT's own settings are chosen."""
    seen = [row.measured for row in known]
    predictor = calibrate(seen, ttft_prior=prior).learn(seen, ttft_kernel=prior.kernel)
    tpot_s = np.array([row.measured.tpot_s for row in out], dtype=np.float64)
    times = predictor.ttft([row.case for row in out], tpot_s)
    return density(times, [row.measured.ttft_s for row in out])


def density(times: Times, measured: Sequence[float | None]) -> Array:
    """Return -log of the normal density of log(measured), but for what is the same for all."""
    off = np.log(np.array(measured, dtype=np.float64) / times.seconds) / times.log_sd
    return np.asarray(off**2 / 2 + np.log(times.log_sd), dtype=np.float64)


TIMES: Mapping[str, tuple[Prior, Score]] = {
    "TPOT": (priors.TPOT, tpot_score),
    "TTFT": (priors.TTFT, ttft_score),
}


if __name__ == "__main__":
    main()
