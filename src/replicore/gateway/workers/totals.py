"""One set of counters out of those of several workers. Pure.

What is *now* (requests outstanding, tokens still to do) is added up over the workers that live;
what was *counted* also over those that ended, so that no counter ever goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from msgspec.structs import replace

from replicore.gateway.table import ReplicaStats, Stats

_BREAKER_STATES = ("closed", "half_open", "open")  # from good to bad


def total(stats: Sequence[Stats]) -> Stats:
    """Return the sum of at least one worker's counters; its revision is the oldest of theirs."""
    names = dict.fromkeys(name for one in stats for name in one.replicas)
    return Stats(
        outstanding=sum(one.outstanding for one in stats),
        queued=sum(one.queued for one in stats),
        requests=sum(one.requests for one in stats),
        errors=sum(one.errors for one in stats),
        revision=min(one.revision for one in stats),
        replicas={
            name: _replica([one.replicas[name] for one in stats if name in one.replicas])
            for name in names
        },
    )


def counted(stats: Stats) -> Stats:
    """Return what is left of the counters of a worker that ended: what it counted, and no more."""
    return replace(
        stats,
        outstanding=0,
        queued=0,
        replicas={
            name: ReplicaStats(outstanding=0, requests=one.requests, errors=one.errors)
            for name, one in stats.replicas.items()
        },
    )


def _replica(stats: Sequence[ReplicaStats]) -> ReplicaStats:
    # It is silent if it is for every worker that has, or just gave up, requests there: one that
    # hears from it knows better.
    silences = [one.stalled_s for one in stats if one.outstanding or one.stalled_s]
    return ReplicaStats(
        outstanding=sum(one.outstanding for one in stats),
        requests=sum(one.requests for one in stats),
        errors=sum(one.errors for one in stats),
        prefill_tokens=sum(one.prefill_tokens for one in stats),
        decode_tokens=sum(one.decode_tokens for one in stats),
        prefill_tokens_per_s=_mean(one.prefill_tokens_per_s for one in stats),
        decode_tokens_per_s=_mean(one.decode_tokens_per_s for one in stats),
        breaker=max((one.breaker for one in stats), key=_BREAKER_STATES.index),
        stalled_s=min(silences, default=0.0),
    )


def _mean(rates: Iterable[float | None]) -> float | None:
    """Return the mean of the workers' estimates of one rate; None if nobody has one."""
    known = [rate for rate in rates if rate is not None]
    return fmean(known) if known else None
