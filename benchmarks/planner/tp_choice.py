"""The choice of tp by tokens per second and core, and what it costs where it is not the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.planner.offline_rows import OfflineRun
from replicore.planner.prediction.fit import Array

# With fewer there is hardly a choice.
_LEAST_DEGREES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A case whose tp was chosen.

    Attributes:
        achieved: Measured tok/s per core of the pick over that of the best tp.
    """

    case: tuple[str, ...]
    tp: int
    best_tp: int
    achieved: float


def achieved(runs: Sequence[OfflineRun], tok_s: Array) -> list[Pick]:
    """Return the pick of each case that has three degrees or more, by predicted tok/s."""
    by_core = {run.id: float(each) / run.tp for run, each in zip(runs, tok_s, strict=True)}
    return [_pick(case, by_core) for case in cases(runs)]


def cases(runs: Sequence[OfflineRun]) -> Iterator[list[OfflineRun]]:
    """Yield the runs of each case that was measured at three degrees or more."""
    found: dict[tuple[str, ...], list[OfflineRun]] = {}
    for run in runs:
        found.setdefault(run.case, []).append(run)
    yield from (each for each in found.values() if len({run.tp for run in each}) >= _LEAST_DEGREES)


def _pick(case: Sequence[OfflineRun], by_core: dict[str, float]) -> Pick:
    pick = max(case, key=lambda run: by_core[run.id])
    best = max(case, key=_measured)
    return Pick(
        case=pick.case, tp=pick.tp, best_tp=best.tp, achieved=_measured(pick) / _measured(best)
    )


def _measured(run: OfflineRun) -> float:
    return run.tok_s / run.tp
