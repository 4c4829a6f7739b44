"""Whether a run's numbers may be believed, and why not. Pure.

The rules, on the run itself and not on what the client could do on another day:

- The client must not be what was measured. Chunks are read within max(1 ms, 1 % of the median TPOT,
  1 % of the median TTFT) of their arrival (p99), requests leave within 10 ms of when they should
  (p99), and a plan of arrivals is kept to 99 %.
- An open loop must not send more than is answered: then there is no steady state to describe.
- A workload whose prompts share nothing must not be answered from a prefix cache.
- The sample must carry the p90 of TTFT, and the load must have been kept for long enough.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult, ClientSecond
from replicore.bench.stats.summary import Summary

_LAG_FLOOR_S = 0.001
_LAG_PART = 0.01
_SEND_DELAY_S = 0.01
_ACHIEVED_SHARE = 0.99
_CACHED_SHARE = 0.01
_TREND_P_VALUE = 0.01
_GROWTH = 0.5
_NEEDED = 0.9


class Kind(StrEnum):
    """What a run is good for; of several that apply, the first."""

    CLIENT_BOUND = "CLIENT-BOUND"  # the client was too slow, so the numbers are of itself
    OVERLOADED = "OVERLOADED"  # more arrived than the servers could answer: no steady state
    CONTAMINATED_CACHE = "CONTAMINATED-CACHE"  # a prefix cache answered part of a cold workload
    TOO_FEW_SAMPLES = "TOO-FEW-SAMPLES"  # nothing is wrong with the numbers, but they say little
    VALID = "VALID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run is good for.

    Attributes:
        reasons: A sentence for everything that was found, the most serious first; of a valid run,
            why it is believed.
        numbers: What the reasons rest on, with what is allowed under ``..._limit...``, in seconds
            and shares.
    """

    kind: Kind
    reasons: tuple[str, ...]
    numbers: dict[str, float]


Numbers = dict[str, float]


def judge(result: BenchResult, summary: Summary) -> Verdict:
    """Return the verdict on a run."""
    numbers = _numbers(result, summary)
    found = [
        (kind, reason) for kind, check in _CHECKS for reason in check(result, summary, numbers)
    ]
    return Verdict(
        kind=found[0][0] if found else Kind.VALID,
        reasons=tuple(reason for _, reason in found) or (_why_valid(numbers),),
        numbers=numbers,
    )


def _numbers(result: BenchResult, summary: Summary) -> Numbers:
    """Return what is known; what is not is left out."""
    client, total = summary.client, summary.total
    seconds = [second for second in result.client if summary.window.holds(second.start_s)]
    known = {
        "requests": float(total.ttft_s.n),
        "effective_requests": total.ttft_s.effective_n,
        "read_lag_p99_s": client.read_lag_p99_s,
        "loop_lag_s": _loop_lag(seconds),
        "lag_limit_s": _lag_limit(summary),
        "send_delay_p99_s": client.send_delay_p99_s,
        "send_delay_limit_s": _SEND_DELAY_S,
        "achieved_share": _achieved_share(result, summary),
        "achieved_share_limit": _ACHIEVED_SHARE,
        "full_share": client.full_share,
        "cpu_share": max((second.cpu_share for second in seconds), default=None),
        "run_queue_share": max((second.run_queue_s or 0.0 for second in seconds), default=None),
        "in_flight_growth": _growth(summary),
        "in_flight_growth_limit": _GROWTH,
        "cached_share": _cached_share(result, summary),
        "cached_share_limit": _CACHED_SHARE,
        "little_residual": None if summary.little is None else summary.little.residual,
        **_calibrated(result),
    }
    return {name: value for name, value in known.items() if value is not None}


def _calibrated(result: BenchResult) -> dict[str, float | None]:
    calibration = result.calibration
    if calibration is None:
        return {}
    return {
        "calibration_ttft_error_s": calibration.ttft_error_s,
        "calibration_ttft_p99_error_s": calibration.ttft_p99_error_s,
        "calibration_gap_p99_error_s": calibration.gap_p99_error_s,
    }


def _loop_lag(seconds: Sequence[ClientSecond]) -> float | None:
    """Return the median over the seconds of the longest delay in each.

    A second has a hundred timers, so the longest delay is about the p99 of that second.
    """
    return statistics.median(s.loop_lag_s for s in seconds) if seconds else None


def _lag_limit(summary: Summary) -> float:
    """Return max(1 ms, 1 % of the median TPOT, 1 % of the median TTFT)."""
    medians = (summary.total.tpot_s.p50, summary.total.ttft_s.p50)
    return max(_LAG_FLOOR_S, *(_LAG_PART * (median or 0.0) for median in medians))


def _achieved_share(result: BenchResult, summary: Summary) -> float | None:
    """Return sent over planned; None where the plan says nothing, as with a cap that holds it."""
    asked, sent = summary.client.requested_rate_per_s, summary.client.achieved_rate_per_s
    if not asked or sent is None or result.concurrency is not None:
        return None
    return sent / asked


def _growth(summary: Summary) -> float | None:
    """Return how much the requests in flight grow over the window, relative to their mean."""
    trend, little = summary.in_flight_trend, summary.little
    if trend is None or little is None or not little.in_flight > 0:
        return None
    return trend.slope_per_s * summary.window.length_s / little.in_flight


def _cached_share(result: BenchResult, summary: Summary) -> float | None:
    """Return the share of input tokens from a cache, without what all prompts begin with."""
    total = summary.total
    if not total.input_tokens:
        return None
    beyond = total.cached_tokens - result.common_tokens * total.succeeded
    return max(0, beyond) / total.input_tokens


# Each check returns a sentence for everything that it finds.
_Check = Callable[[BenchResult, Summary, Numbers], list[str]]


def _check_lag(_result: BenchResult, _summary: Summary, numbers: Numbers) -> list[str]:
    limit = numbers["lag_limit_s"]
    if "read_lag_p99_s" in numbers:
        lag, what = numbers["read_lag_p99_s"], "the client read chunks {} after they came (p99)"
    elif "loop_lag_s" in numbers:
        lag, what = numbers["loop_lag_s"], "the client's event loop was {} late"
    else:
        return []
    if lag < limit:
        return []
    return [f"{what.format(_ms(lag))}, less than {_ms(limit)} is allowed{_cause(numbers)}"]


def _cause(numbers: Numbers) -> str:
    """Return what a late client lacked, as far as it is known: a faster core, or a core at all."""
    if "cpu_share" not in numbers:
        return ""
    used, waited = numbers["cpu_share"], numbers["run_queue_share"]
    return f"; in its worst second it used {used:.0%} of a core, or waited {waited:.0%} for one"


def _check_sending(_result: BenchResult, _summary: Summary, numbers: Numbers) -> list[str]:
    found = []
    delay = numbers.get("send_delay_p99_s", 0.0)
    if delay >= _SEND_DELAY_S:
        found.append(
            f"requests left {_ms(delay)} late (p99), less than {_ms(_SEND_DELAY_S)} is allowed"
        )
    achieved = numbers.get("achieved_share", 1.0)
    if achieved < _ACHIEVED_SHARE:
        found.append(
            f"{achieved:.1%} of the planned rate was sent, at least {_ACHIEVED_SHARE:.0%} is needed"
        )
    return found


def _check_calibration(_result: BenchResult, _summary: Summary, numbers: Numbers) -> list[str]:
    """Without kernel stamps the mock is the only witness of what the client adds."""
    error = numbers.get("calibration_gap_p99_error_s")
    limit = numbers["lag_limit_s"]
    if error is None or "read_lag_p99_s" in numbers or error < limit:
        return []
    return [
        f"against a mock at this load the client is {_ms(error)} off (p99 of chunk gaps), "
        f"less than {_ms(limit)} is allowed"
    ]


def _check_load(_result: BenchResult, summary: Summary, numbers: Numbers) -> list[str]:
    growth, trend = numbers.get("in_flight_growth"), summary.in_flight_trend
    if growth is None or trend is None:
        return []
    if growth < _GROWTH or trend.p_value >= _TREND_P_VALUE:
        return []
    return [
        f"the requests in flight grew by {trend.slope_per_s:.2g} a second: more were sent than "
        "the servers answer, so latencies depend on how long the run is"
    ]


def _check_cache(result: BenchResult, _summary: Summary, numbers: Numbers) -> list[str]:
    share = numbers.get("cached_share", 0.0)
    if share <= _CACHED_SHARE or not _meant_cold(result.workload):
        return []
    return [
        f"a prefix cache held {share:.1%} of the input tokens of prompts that share nothing with "
        "each other"
    ]


def _meant_cold(workload: Workload) -> bool:
    """Whether each prompt is one that no server has seen, by its making."""
    return not workload.prefixes.count and workload.turns.count.mean == 1 and workload.data is None


def _check_samples(_result: BenchResult, summary: Summary, _numbers: Numbers) -> list[str]:
    total = summary.total
    if not total.succeeded:
        return ["no request was answered"]
    found = []
    if total.ttft_s.at(_NEEDED).value is None:
        found.append(f"{total.ttft_s.n} requests do not carry a p90, less so what is beyond it")
    if not summary.window.steady:
        found.append(
            "the load was not kept for long enough, so rates include the run's start and its end"
        )
    return found


# In the order of how serious they are.
_CHECKS: tuple[tuple[Kind, _Check], ...] = (
    (Kind.CLIENT_BOUND, _check_lag),
    (Kind.CLIENT_BOUND, _check_sending),
    (Kind.CLIENT_BOUND, _check_calibration),
    (Kind.OVERLOADED, _check_load),
    (Kind.CONTAMINATED_CACHE, _check_cache),
    (Kind.TOO_FEW_SAMPLES, _check_samples),
)


def _why_valid(numbers: Numbers) -> str:
    said, allowed = [], []
    if "read_lag_p99_s" in numbers:
        said.append(f"chunks were read {_ms(numbers['read_lag_p99_s'])} after they came")
        allowed.append(_ms(numbers["lag_limit_s"]))
    if "send_delay_p99_s" in numbers:
        said.append(f"requests left {_ms(numbers['send_delay_p99_s'])} late")
        allowed.append(_ms(_SEND_DELAY_S))
    if not said:
        return "nothing speaks against it"
    return f"at p99 {' and '.join(said)}, of {' and '.join(allowed)} allowed"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
