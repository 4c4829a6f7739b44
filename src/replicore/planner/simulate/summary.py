"""A run in numbers: percentiles, rates, balance. Pure; seconds, tokens, shares of 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicore.errors import ConfigError, UndefinedMetric
from replicore.planner.simulate.outcome import Outcome

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A distribution over requests; all None where no request has the value."""

    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """What a request has to keep, in seconds; None for what does not matter."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run, or a window of it.

    Attributes:
        requests: That came in the window; what follows on latencies is of these.
        unserved: Of these, refused or never finished.
        wait: From the arrival to the first slot.
        tpot: (E2E - TTFT) / (output tokens - 1), of requests with two or more.
        window_s: Its length; by default from the first arrival to the last end.
        requests_per_s: That ended in it.
        output_tokens_per_s: That came in it, those of a request spread evenly from its first one.
        utilisation: Share of the whole run in which a replica works, mean over replicas.
        in_flight: Requests between arrival and end, mean over the whole run.
        little_s: Mean E2E that Little's law gives, in flight / arrival rate; of a run without
            unserved requests it is the E2E's mean.
        met: Share of the requests that were served within the SLO; 1.0 of those served without one.
        goodput_per_s: Of these, per second of the window.
        busiest: Output tokens of the replica with the most, over the mean of all.
        preemptions: In the whole run; so are ``retries``.
    """

    requests: int
    unserved: int
    ttft: Spread
    tpot: Spread
    e2e: Spread
    wait: Spread
    window_s: float
    requests_per_s: float
    output_tokens_per_s: float
    utilisation: float
    in_flight: float
    little_s: float
    met: float
    goodput_per_s: float
    busiest: float
    preemptions: int
    retries: int


def summarise(
    outcome: Outcome,
    *,
    slo: Slo | None = None,
    after_s: float = 0.0,
    until_s: float = math.inf,
) -> Summary:
    """Return the numbers of a run.

    Args:
        after_s: Length of the warm-up: requests that came before are left out.
        until_s: Requests that came then or later are left out, and the window ends there.

    Raises:
        ConfigError: No request came in the window.
        UndefinedMetric: No request was served at all.
    """
    begin_s, end_s = _window(outcome, after_s, until_s)
    came = (outcome.arrival_s >= after_s) & (outcome.arrival_s < until_s)
    if not came.any() or not end_s > begin_s:
        raise ConfigError(f"no request came from {after_s:g} s to {until_s:g} s of the run")
    window_s, span_s = end_s - begin_s, _span(outcome)
    ended = (outcome.end_s >= begin_s) & (outcome.end_s <= end_s)
    good = came & _meets(outcome, slo or Slo())
    counts = outcome.replica_tokens
    return Summary(
        requests=int(came.sum()),
        unserved=int((came & ~outcome.is_served).sum()),
        ttft=spread((outcome.first_s - outcome.arrival_s)[came]),
        tpot=spread(tpot_s(outcome)[came]),
        e2e=spread((outcome.end_s - outcome.arrival_s)[came]),
        wait=spread((outcome.started_s - outcome.arrival_s)[came]),
        window_s=window_s,
        requests_per_s=float(ended.sum()) / window_s,
        output_tokens_per_s=_tokens_within(outcome, begin_s, end_s) / window_s,
        utilisation=float(outcome.busy_s.mean()) / span_s,
        in_flight=outcome.in_flight_s / span_s,
        little_s=outcome.in_flight_s / len(outcome.arrival_s),
        met=float(good.sum() / came.sum()),
        goodput_per_s=float(good.sum()) / window_s,
        busiest=float(counts.max() / counts.mean()),
        preemptions=int(outcome.preemptions.sum()),
        retries=int(outcome.retries.sum()),
    )


def spread(values: Floats) -> Spread:
    """Return the distribution of the values that are numbers."""
    values = values[~np.isnan(values)]
    if not len(values):
        return Spread(mean=None, p50=None, p90=None, p95=None, p99=None)
    p50, p90, p95, p99 = np.percentile(values, [50, 90, 95, 99]).tolist()
    return Spread(mean=float(values.mean()), p50=p50, p90=p90, p95=p95, p99=p99)


def tpot_s(outcome: Outcome) -> Floats:
    """Return the time per output token of each request, ``(requests,)``; NaN below two tokens."""
    gaps = outcome.output_tokens - 1
    decode_s = outcome.end_s - outcome.first_s
    return np.where(gaps > 0, decode_s / np.maximum(gaps, 1), np.nan)


def _window(outcome: Outcome, after_s: float, until_s: float) -> tuple[float, float]:
    if not outcome.is_served.any():
        raise UndefinedMetric("no request was served, so the run has no latencies")
    begin_s = max(after_s, float(np.min(outcome.arrival_s)))
    return begin_s, min(until_s, float(np.nanmax(outcome.end_s)))


def _span(outcome: Outcome) -> float:
    """Return the length of the whole run."""
    return float(np.nanmax(outcome.end_s) - np.min(outcome.arrival_s))


def _tokens_within(outcome: Outcome, begin_s: float, end_s: float) -> float:
    """Return the output tokens that came within a window."""
    first, last = outcome.first_s, outcome.end_s
    served = outcome.is_served
    firsts = (served & (first >= begin_s) & (first <= end_s)).sum()
    length = last - first
    overlap = np.minimum(last, end_s) - np.maximum(first, begin_s)
    share = np.divide(overlap, length, out=np.zeros(len(length)), where=served & (length > 0))
    return float(firsts + ((outcome.output_tokens - 1) * np.clip(share, 0.0, 1.0))[served].sum())


def _meets(outcome: Outcome, slo: Slo) -> Bools:
    """Return which requests were served within the SLO, ``(requests,)``."""
    met = outcome.is_served
    limits = (
        (slo.ttft_s, outcome.first_s - outcome.arrival_s),
        (slo.tpot_s, np.nan_to_num(tpot_s(outcome))),
        (slo.e2e_s, outcome.end_s - outcome.arrival_s),
    )
    for most, taken in limits:
        if most is not None:
            met = met & (taken <= most)
    return met
