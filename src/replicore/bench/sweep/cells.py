"""A layout at one load: all repeats together, and how they stand against the objectives. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from replicore.bench.stats.quantiles import distribution
from replicore.bench.stats.summary import Distribution, Objectives, Quantile, Rate
from replicore.bench.sweep.entries import Run
from replicore.bench.sweep.plan import Arm, SweepPlan
from replicore.bench.sweep.student import mean_rate
from replicore.cores import CoreRange

# The spec's objectives are of the 99th percentile.
_SHARE = 0.99
# One-sided: a share is sure where luck would explain it less often than this.
_LUCK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Attainment:
    """How many requests were within one objective.

    Attributes:
        name: ``TTFT``, ``TPOT``, or ``answered``, which every sweep has.
        limit_s: None of ``answered``.
        within: Of ``requests``; one that failed is not.
        sure: Whether so many within would be luck of less than 5 % if fewer than 99 % of all
            requests were.
    """

    name: str
    limit_s: float | None
    within: int
    requests: int
    sure: bool

    @property
    def share(self) -> float:
        return self.within / self.requests if self.requests else 0.0

    @property
    def met(self) -> bool:
        """Whether at least 99 % were, which is what a limit of the 99th percentile says."""
        return self.share >= _SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A layout at one load.

    Attributes:
        baseline: Whether it was measured for the scaling of another layout only.
        slots: Requests that the layout works on at the same time.
        cores: Busy ones, over all replicas.
        runs: How many repeats there are.
        ready_s: From the start of a deployment until it served, the median.
        rates: Output tokens per second, by repeat.
        output_tokens_per_s: Their mean. Its interval is that of the repeats, where there are two.
        ttft_p50: Mean of the repeats' medians, with their interval where there are two; in seconds.
            So is ``tpot_p50``.
        ttft_s: Over the requests of all repeats that succeeded; for the tail, of which a single run
            has too little.
        attained: For every objective.
        verdicts: Of the runs, and how many had each.
    """

    layout: str
    concurrency: int
    baseline: bool
    slots: int
    cores: int
    runs: int
    requests: int
    errors: int
    ready_s: float
    rates: dict[int, float]
    output_tokens_per_s: Rate | None
    total_tokens_per_s: Rate | None
    requests_per_s: Rate | None
    ttft_p50: Quantile
    tpot_p50: Quantile
    ttft_s: Distribution
    tpot_s: Distribution
    e2e_s: Distribution
    attained: tuple[Attainment, ...]
    verdicts: dict[str, int]

    @property
    def rate(self) -> float:
        """Output tokens per second; 0 where nothing was answered."""
        return self.output_tokens_per_s.value if self.output_tokens_per_s else 0.0

    @property
    def meets(self) -> bool:
        return all(one.met for one in self.attained)

    def __str__(self) -> str:
        return f"{self.layout} at {self.concurrency} in flight"


def cells_of(plan: SweepPlan, runs: Iterable[Run], slo: Objectives) -> tuple[Cell, ...]:
    """Return a cell for each layout and load of the plan that has a run, in the plan's order."""
    by_cell: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        by_cell.setdefault((run.layout, run.concurrency), []).append(run)
    return tuple(
        _cell(arm, by_cell[str(arm.layout), concurrency], slo)
        for arm in plan.arms
        for concurrency in arm.concurrencies
        if (str(arm.layout), concurrency) in by_cell
    )


def _cell(arm: Arm, runs: Sequence[Run], slo: Objectives) -> Cell:
    return Cell(
        layout=str(arm.layout),
        concurrency=runs[0].concurrency,
        baseline=arm.baseline,
        slots=runs[0].slots,
        cores=sum(len(CoreRange.parse(cores)) for cores in runs[0].cores),
        runs=len(runs),
        requests=sum(run.requests for run in runs),
        errors=sum(sum(run.errors.values()) for run in runs),
        ready_s=median(run.ready_s for run in runs),
        rates={r.repeat: r.output_tokens_per_s.value for r in runs if r.output_tokens_per_s},
        output_tokens_per_s=_mean(run.output_tokens_per_s for run in runs),
        total_tokens_per_s=_mean(run.total_tokens_per_s for run in runs),
        requests_per_s=_mean(run.requests_per_s for run in runs),
        ttft_p50=_median([run.latencies.ttft_s for run in runs]),
        tpot_p50=_median([run.latencies.tpot_s for run in runs]),
        ttft_s=_pooled(run.latencies.ttft_s for run in runs),
        tpot_s=_pooled(run.latencies.tpot_s for run in runs),
        e2e_s=_pooled(run.latencies.e2e_s for run in runs),
        attained=tuple(_attained(runs, slo)),
        verdicts=dict(Counter(run.verdict for run in runs)),
    )


def _mean(rates: Iterable[Rate | None]) -> Rate | None:
    return mean_rate([rate.value for rate in rates if rate is not None])


def _pooled(columns: Iterable[Sequence[float | None]]) -> Distribution:
    return distribution([value for column in columns for value in column if value is not None])


def _median(columns: Sequence[Sequence[float | None]]) -> Quantile:
    """Return the mean of the repeats' medians: one run differs from the next as a whole."""
    medians = [value for value in map(median_of, columns) if value is not None]
    mean = mean_rate(medians)
    if mean is None:
        return Quantile(p=0.5)
    if len(medians) > 1:
        return Quantile(p=0.5, value=mean.value, low=mean.low, high=mean.high)
    within = _pooled(columns).at(0.5)
    return Quantile(p=0.5, value=mean.value, low=within.low, high=within.high)


def median_of(values: Iterable[float | None]) -> float | None:
    """Return the median of those that are known; None of none."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _attained(runs: Sequence[Run], slo: Objectives) -> Iterable[Attainment]:
    answered = [value is not None for run in runs for value in run.latencies.ttft_s]
    yield _attainment("answered", None, answered)
    if slo.ttft_s is not None:
        yield _attainment("TTFT", slo.ttft_s, _within_ttft(runs, slo.ttft_s))
    if slo.tpot_s is not None:
        yield _attainment("TPOT", slo.tpot_s, _within_tpot(runs, slo.tpot_s))


def _within_ttft(runs: Sequence[Run], limit_s: float) -> list[bool]:
    return [v is not None and v <= limit_s for run in runs for v in run.latencies.ttft_s]


def _within_tpot(runs: Sequence[Run], limit_s: float) -> list[bool]:
    """An answer of one token has no TPOT, and is within."""
    both = (pair for r in runs for pair in zip(r.latencies.e2e_s, r.latencies.tpot_s, strict=True))
    return [e2e is not None and (tpot is None or tpot <= limit_s) for e2e, tpot in both]


def _attainment(name: str, limit_s: float | None, within: Sequence[bool]) -> Attainment:
    count, total = sum(within), len(within)
    return Attainment(
        name=name,
        limit_s=limit_s,
        within=count,
        requests=total,
        sure=count >= _SHARE * total > 0 and luck(count, total) < _LUCK,
    )


def luck(within: int, requests: int) -> float:
    """Return how likely it is that so many are within, or more, where 99 % of all requests are.

    P(X >= within) for X ~ Binomial(requests, 0.99), summed over the few that are not within.
    """
    return math.fsum(_probability(k, requests) for k in range(requests - within + 1))


def _probability(missed: int, requests: int) -> float:
    """Return P(X = requests - missed), by logarithms: the binomial coefficient may be too large."""
    ways = math.lgamma(requests + 1) - math.lgamma(missed + 1) - math.lgamma(requests - missed + 1)
    log = ways + missed * math.log(1 - _SHARE) + (requests - missed) * math.log(_SHARE)
    return math.exp(log)


def requests_to_be_sure() -> int:
    """Return how many requests, all within, are enough for :attr:`Attainment.sure`."""
    return math.ceil(math.log(_LUCK) / math.log(_SHARE))
