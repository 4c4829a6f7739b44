"""How much requests of one run differ, so that percentiles follow from means. Pure.

Within a run TTFT and TPOT are taken as log-normal, with the coefficients of variation below. A 99th
percentile is the mean times exp(2.33 spread). Measured for comparison: 99th percentile over mean of
TPOT is 1.03 with static batches (52 of AWS's rows) and 1.15 to 1.23 in MLPerf's servers (141), that
of TTFT 1.02 and 2.5.
"""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist

from replicore.planner.question import Lengths

P99 = NormalDist().inv_cdf(0.99)

# No two requests take as long, whatever they are: clocks, other processes.
_LEAST = 0.015


def variation(lengths: Lengths) -> float:
    """Return the coefficient of variation."""
    return lengths.stddev / lengths.mean


def of_log(cv: float) -> float:
    """Return the standard deviation of the logarithm of a log-normal number, at least 0.015."""
    return max(_LEAST, sqrt(log(1 + cv * cv)))


def percentile_99(mean_s: float, spread: float) -> float:
    """Return what 99 % of requests are within, in seconds."""
    return mean_s * exp(P99 * spread)


def tpot_spread(
    *, prefill: float, kv: float, running: float, prompts: Lengths, arrival_cv2: float
) -> float:
    """Return the standard deviation of the logarithm of TPOT over requests.

    cv^2 = prefill^2 (ca^2 + cv_in^2) / n + (kv cv_in)^2 / B, where n = B - 1 prompts of others are
    worked through while a request decodes, more or fewer by chance.

    Args:
        prefill: Share of TPOT; ``kv`` likewise.
        running: Sequences B that the replica works on.
        arrival_cv2: Squared variation ca^2 of the intervals between requests: 1 at random.
    """
    others = max(1.0, running - 1)
    stalls = prefill**2 * (arrival_cv2 + variation(prompts) ** 2) / others if running > 1 else 0.0
    # A replica reads the contexts of all that run, whose mean varies less than each of them.
    contexts = (kv * variation(prompts)) ** 2 / max(1.0, running)
    return of_log(sqrt(stalls + contexts))


def ttft_spread(
    *, prefill: float, queue: float, prompts: Lengths, waiting_cv: float = 1.0
) -> float:
    """Return the standard deviation of the logarithm of TTFT over requests.

    cv^2 = (prefill cv_in)^2 + (queue cv_wait)^2

    Args:
        prefill: Share of TTFT; ``queue`` likewise.
        waiting_cv: Of the wait: 1 where others are there by chance.
    """
    return of_log(sqrt((prefill * variation(prompts)) ** 2 + (queue * waiting_cv) ** 2))
