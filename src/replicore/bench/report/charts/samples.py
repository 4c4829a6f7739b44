"""The values behind the distributions of a summary, for charts of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replicore.bench.record import BenchResult
from replicore.bench.stats.arrays import Bools, Floats
from replicore.bench.stats.columns import Column, column, e2e_column, gap_columns, ttft_column
from replicore.bench.stats.latency import tpot
from replicore.bench.stats.summary import Summary


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one metric, in seconds.

    Attributes:
        values: ``(n,)``.
        censored: Which of them are only known to be larger, ``(n,)``.
    """

    values: Floats
    censored: Bools

    @property
    def seen(self) -> Floats:
        """The values that were seen to their end."""
        return self.values[~self.censored]


class Samples:
    """Takes the values of all replicas, or of one, from the requests of the measured window."""

    def __init__(self, result: BenchResult, summary: Summary) -> None:
        window = summary.window
        records = [record for record in result.records if window.holds(record.dispatched_s)]
        since = summary.latency_from
        gaps = gap_columns(records)
        self._replicas = np.array([record.replica for record in records], dtype=np.str_)
        self._owners = np.repeat(np.arange(len(records)), gaps.sizes)
        self._gaps = gaps.values
        self._columns = {
            "ttft": ttft_column(records, since),
            "tpot": column(tpot, records),
            "e2e": e2e_column(records, since),
        }

    def of(self, metric: str, replica: str | None = None) -> Sample:
        """Return the values of ``ttft``, ``tpot``, ``e2e`` or ``gap``."""
        mine = np.ones(len(self._replicas), dtype=np.bool_)
        if replica is not None:
            mine = self._replicas == replica
        if metric == "gap":
            values = self._gaps[mine[self._owners]]
            return Sample(values, np.zeros(len(values), dtype=np.bool_))
        return _chosen(self._columns[metric], mine)


def _chosen(found: Column, requests: Bools) -> Sample:
    defined = requests & ~np.isnan(found.values)
    return Sample(found.values[defined], found.censored[defined])
