"""Ways to hold rows out: what is predicted is never what was calibrated on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from benchmarks.planner.rows import Row

# What to calibrate on, and what to predict.
Fold = tuple[list[Row], list[Row]]
Split = Callable[[Sequence[Row]], Iterator[Fold]]

SEEDS = range(4)
FOLDS = 5


def halves(rows: Sequence[Row]) -> Iterator[Fold]:
    """Yield random halves, one for each seed."""
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(rows))
        yield _at(rows, order[: len(rows) // 2]), _at(rows, order[len(rows) // 2 :])


def folds(rows: Sequence[Row]) -> Iterator[Fold]:
    """Yield random fifths, each predicted from the other four."""
    order = np.random.default_rng(0).permutation(len(rows))
    for fold in range(FOLDS):
        held_out = order[fold::FOLDS]
        yield _at(rows, np.setdiff1d(order, held_out)), _at(rows, held_out)


def _at(rows: Sequence[Row], places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[Row]:
    return [rows[int(place)] for place in places]


def without(key: Callable[[Row], Hashable]) -> Split:
    """Return the split that holds out all rows of one key at a time."""

    def split(rows: Sequence[Row]) -> Iterator[Fold]:
        for out in dict.fromkeys(key(row) for row in rows):
            calibration = [row for row in rows if key(row) != out]
            if calibration:
                yield calibration, [row for row in rows if key(row) == out]

    return split


def workload_of(row: Row) -> Hashable:
    return row.values["input_len"], row.values["output_len"]


def model_of(row: Row) -> Hashable:
    """Return what tells models apart; copies and quantised files of one are the same."""
    return row.case.replica.anatomy.parameters


def group_of(row: Row) -> tuple[str, str]:
    """Return the device and the engine."""
    return row.case.replica.device.key, row.case.replica.engine


SPLITS: dict[str, Split] = {
    "half held out": halves,
    "5-fold": folds,
    "one tp out": without(lambda row: row.case.replica.tp),
    "one workload out": without(workload_of),
    "one model out": without(model_of),
    "one device out": without(lambda row: row.case.replica.device.key),
    "one device and engine out": without(group_of),
}
