"""How often the 95 % intervals of ``replicore bench`` hold the true value, on simulated queues.

    python -m benchmarks.interval_coverage

Each cell simulates many runs whose true values are known, and counts how often an interval holds
them. Wanted: 93 to 97 %. Latencies are

- ``ar1``: exp(sigma z) of an autoregressive z with correlation rho, whose truth is closed;
- ``queue``: waiting and service in a queue with Poisson arrivals whose service times are such an
  ar1, whose truth is that of a simulation of 20 million requests;
- ``closed loop``: whole runs of eight places, recorded and summarised as a real one is, with
  window, warm-up and rates; each place's latencies are an ar1.

``carried`` is the share of runs in which the interval was not refused. Where it was in more than a
tenth, the few that are left are of runs that looked calmer than they were, and miss more often:
those cells are shown and not judged. Nor are those of a queue at 60 % load with only 1,000
requests, which are worth 80 independent ones and hold less than one busy period in ten.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.result_file import write_result
from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult, RequestRecord
from replicore.bench.stats.quantiles import Distribution, distribution
from replicore.bench.stats.scaling import paired_ratio
from replicore.bench.stats.summary import Summary, summarize

Floats = npt.NDArray[np.float64]

BAND = (0.93, 0.97)
# A cell is judged where at least this share of the runs has an interval.
MOSTLY = 0.9
LEVELS = (0.5, 0.9, 0.95, 0.99)
BURN_IN = 2000
PLACES = 8
TOKENS = 100
# Two servers measured with the same prompts: the second one's latencies are longer by this.
SLOWER = 1.1


def ar1(trials: int, count: int, rho: float, rng: np.random.Generator) -> Floats:
    """Return standard normal values, ``(trials, count)``; neighbours correlate with ``rho``."""
    noise = rng.standard_normal((count, trials))
    noise[1:] *= math.sqrt(1 - rho**2)
    for step in range(1, count):
        noise[step] += rho * noise[step - 1]
    return noise.T


def lognormal(trials: int, count: int, rho: float, sigma: float, seed: int) -> Floats:
    return np.exp(sigma * ar1(trials, count, rho, np.random.default_rng(seed)))


def lognormal_truth(sigma: float) -> dict[str, float]:
    normal = NormalDist()
    quantiles = {name(p): math.exp(sigma * normal.inv_cdf(p)) for p in LEVELS}
    return {"mean": math.exp(sigma**2 / 2), **quantiles}


def queue(trials: int, count: int, rho: float, sigma: float, load: float, seed: int) -> Floats:
    """Return times from arrival to answer, ``(trials, count)``, by Lindley's recursion."""
    rng = np.random.default_rng(seed)
    service = np.exp(sigma * ar1(trials, count + BURN_IN, rho, rng)).T
    between = rng.exponential(math.exp(sigma**2 / 2) / load, service.shape)
    waiting = np.zeros(trials)
    spent = np.empty((count, trials))
    for step in range(count + BURN_IN):
        if step >= BURN_IN:
            spent[step - BURN_IN] = waiting + service[step]
        waiting = np.maximum(waiting + service[step] - between[step], 0.0)
    return spent.T


@cache
def queue_truth(rho: float, sigma: float, load: float) -> dict[str, float]:
    values = queue(4000, 5000, rho, sigma, load, seed=1).ravel()
    quantiles = np.quantile(values, LEVELS).tolist()
    return {"mean": float(values.mean()), **dict(zip(map(name, LEVELS), quantiles, strict=True))}


def name(p: float) -> str:
    return f"p{p * 100:g}"


@dataclass
class Count:
    """How often the intervals of one number were right."""

    truth: float
    held: int = 0
    above: int = 0
    below: int = 0
    effective: list[float] = field(default_factory=list)

    def add(self, low: float | None, high: float | None, effective: float) -> None:
        self.effective.append(effective)
        if low is None or high is None:
            return
        self.held += low <= self.truth <= high
        self.above += low > self.truth
        self.below += high < self.truth

    def row(self, trials: int) -> dict[str, object]:
        carried = self.held + self.above + self.below
        return {
            "trials": trials,
            "carried": round(carried / trials, 4),
            "coverage": round(self.held / carried, 4) if carried else None,
            "interval_above": round(self.above / carried, 4) if carried else None,
            "interval_below": round(self.below / carried, 4) if carried else None,
            "effective_n_median": round(float(np.median(self.effective)), 1),
        }


def covered(samples: Floats, truth: Mapping[str, float]) -> dict[str, Count]:
    """Count over the rows of ``samples`` how often each number's interval holds its truth."""
    counts = {number: Count(value) for number, value in truth.items()}
    for sample in samples:
        add(counts, distribution(sample))
    return counts


def add(counts: Mapping[str, Count], found: Distribution) -> None:
    counts["mean"].add(found.mean_low, found.mean_high, found.effective_n)
    for p in LEVELS:
        quantile = found.at(p)
        counts[name(p)].add(quantile.low, quantile.high, found.effective_n)


def closed_loop(count: int, rho: float, sigma: float, rng: np.random.Generator) -> BenchResult:
    """Return a run of eight places, each with latencies that depend on those before.

    Every place works off its own requests; a run is what all have dispatched first.
    """
    each = 2 * count // PLACES + 10
    spent = np.exp(sigma * ar1(PLACES, each, rho, rng))
    ends = np.cumsum(spent, axis=1)
    starts = ends - spent
    order = np.argsort(starts, axis=None)[: count + PLACES]
    records = [
        answered(index, float(starts.flat[place]), float(ends.flat[place]))
        for index, place in enumerate(order)
    ]
    return BenchResult(
        endpoints=("http://127.0.0.1:8000",),
        model="simulated",
        workload=Workload(),
        load=Load(concurrency=PLACES),
        requests=count,
        simulated=True,
        exact_prompts=True,
        started_at="2026-11-23T00:00:00+00:00",
        interrupted=False,
        warmup=tuple(records[:PLACES]),
        records=tuple(records[PLACES:]),
    )


def answered(index: int, start: float, end: float) -> RequestRecord:
    """Return a request whose tokens arrive evenly, in ten chunks."""
    return RequestRecord(
        index=index,
        endpoint="http://127.0.0.1:8000",
        replica="r0",
        input_tokens_asked=1,
        output_tokens_asked=TOKENS,
        intended_s=start,
        dispatched_s=start,
        ended_s=end,
        chunk_times_s=tuple(np.linspace(start, end, 11)[1:].tolist()),
        chunk_tokens=(TOKENS / 10,) * 10,
        input_tokens=1,
        output_tokens=TOKENS,
    )


def closed_loop_truth(sigma: float) -> dict[str, float]:
    latency = lognormal_truth(sigma)
    rate = PLACES / latency["mean"]
    return {**latency, "requests_per_s": rate, "output_tokens_per_s": rate * TOKENS}


def covered_runs(trials: int, count: int, rho: float, sigma: float) -> dict[str, Count]:
    rng = np.random.default_rng(4)
    counts = {number: Count(value) for number, value in closed_loop_truth(sigma).items()}
    for _ in range(trials):
        add_run(counts, summarize(closed_loop(count, rho, sigma, rng)))
    return counts


def add_run(counts: Mapping[str, Count], summary: Summary) -> None:
    total = summary.total
    add(counts, total.e2e_s)
    rates = {
        "requests_per_s": total.requests_per_s,
        "output_tokens_per_s": total.output_tokens_per_s,
    }
    for number, rate in rates.items():
        if rate is not None:
            counts[number].add(rate.low, rate.high, total.e2e_s.effective_n)


def covered_ratios(trials: int, count: int, rho: float, sigma: float) -> dict[str, Count]:
    """Compare servers that share half of their variance, as with the same prompts."""
    rng = np.random.default_rng(5)
    shared, first, second = (ar1(trials, count, rho, rng) for _ in range(3))
    counts = {"mean": Count(SLOWER)}
    for trial in range(trials):
        theirs = np.exp(sigma * math.sqrt(0.5) * (shared[trial] + first[trial]))
        ours = SLOWER * np.exp(sigma * math.sqrt(0.5) * (shared[trial] + second[trial]))
        ratio = paired_ratio(ours, theirs, better="lower", seed=trial)
        counts["mean"].add(ratio.low, ratio.high, count)
    return counts


def covered_ar1(trials: int, count: int, rho: float, sigma: float) -> dict[str, Count]:
    return covered(lognormal(trials, count, rho, sigma, seed=2), lognormal_truth(sigma))


def covered_queue(
    trials: int, count: int, rho: float, sigma: float, load: float
) -> dict[str, Count]:
    return covered(queue(trials, count, rho, sigma, load, seed=3), queue_truth(rho, sigma, load))


@dataclass(frozen=True)
class Case:
    """What is simulated.

    Attributes:
        lengths: Requests of a run.
        options: Of ``count``, whose first arguments are the trials and the requests.
        part: Of the trials that were asked for; slow cases do with fewer.
        hard: Shown, but not held against the band.
    """

    name: str
    count: Callable[..., dict[str, Count]]
    lengths: Sequence[int]
    options: Mapping[str, float]
    part: float = 1.0
    hard: bool = False


CASES = (
    Case("ar1", covered_ar1, (400, 1000, 4000), {"rho": 0.0, "sigma": 0.5}),
    Case("ar1", covered_ar1, (400, 1000, 4000), {"rho": 0.5, "sigma": 0.5}),
    Case("ar1", covered_ar1, (400, 1000, 4000), {"rho": 0.8, "sigma": 0.5}),
    Case("ar1", covered_ar1, (400, 1000, 4000), {"rho": 0.5, "sigma": 1.0}),
    Case("queue", covered_queue, (1000, 4000), {"rho": 0.5, "sigma": 0.5, "load": 0.4}),
    Case("queue", covered_queue, (4000,), {"rho": 0.5, "sigma": 0.5, "load": 0.6}),
    Case("queue", covered_queue, (1000,), {"rho": 0.5, "sigma": 0.5, "load": 0.6}, hard=True),
    Case("closed loop", covered_runs, (400, 1000), {"rho": 0.5, "sigma": 0.5}, part=0.5),
    Case("ratio", covered_ratios, (400, 1000), {"rho": 0.5, "sigma": 0.5}, part=0.25),
)


def measure(trials: int) -> Iterator[dict[str, object]]:
    for case in CASES:
        runs = max(1, round(trials * case.part))
        for length in case.lengths:
            head = {"case": case.name, **case.options, "n": length, "hard": case.hard}
            for number, found in case.count(runs, length, **case.options).items():
                yield {**head, "number": number, **found.row(runs)}


def is_judged(row: Mapping[str, Any]) -> bool:
    return not row["hard"] and row["carried"] >= MOSTLY


def in_band(row: Mapping[str, Any]) -> bool:
    coverage: float = row["coverage"]
    return BAND[0] <= coverage <= BAND[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    rows = []
    for row in measure(trials):
        rows.append(row)
        mark = "." if not is_judged(row) else " " if in_band(row) else "!"
        print(mark, *row.values(), flush=True)
    judged = [row for row in rows if is_judged(row)]
    inside = sum(map(in_band, judged))
    settings = {"wanted": BAND, "cells": len(rows), "judged": len(judged), "inside": inside}
    path = write_result("interval_coverage", rows, settings=settings, packages=["numpy"])
    print(f"{inside} of {len(judged)} within {BAND}: {path}")


if __name__ == "__main__":
    main()
