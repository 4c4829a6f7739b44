"""Requests held against service level objectives. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicore.bench.record import RequestRecord
from replicore.bench.stats.latency import LatencyFrom, Metric, e2e, start_s, tpot, ttft
from replicore.errors import UndefinedMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Limits that a request must be within to count as good, in seconds; None: any value is."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None

    @property
    def stated(self) -> bool:
        return (self.ttft_s, self.tpot_s, self.e2e_s) != (None, None, None)


def meets(
    record: RequestRecord, limits: Objectives, since: LatencyFrom = "dispatched"
) -> bool | None:
    """Return whether a request was within every objective; None where nobody can know.

    One that failed was within none. One of a single token has no TPOT, so its other limits decide.
    One that was cancelled while it ran is out once it is late, and undecided before.
    """
    if record.unfinished:
        return False if _is_late(record, limits, since) else None
    return (
        record.succeeded
        and _within(lambda one: ttft(one, since), record, limits.ttft_s)
        and _within(tpot, record, limits.tpot_s)
        and _within(lambda one: e2e(one, since), record, limits.e2e_s)
    )


def _within(metric: Metric, record: RequestRecord, limit: float | None) -> bool:
    if limit is None:
        return True
    try:
        return metric(record) <= limit
    except UndefinedMetric:
        return True


def _is_late(record: RequestRecord, limits: Objectives, since: LatencyFrom) -> bool:
    """Return whether an unfinished request had broken a limit when it was cancelled."""
    began = start_s(record, since)
    first = record.chunk_times_s[0] if record.chunk_times_s else record.ended_s
    late_first = limits.ttft_s is not None and first - began > limits.ttft_s
    late_end = limits.e2e_s is not None and record.ended_s - began > limits.e2e_s
    return late_first or late_end


def attainment(verdicts: Iterable[bool | None]) -> float | None:
    """Return the share of the decided requests that were within; None without any."""
    decided = [verdict for verdict in verdicts if verdict is not None]
    return sum(decided) / len(decided) if decided else None


def fluidity(record: RequestRecord, limits: Objectives, since: LatencyFrom = "dispatched") -> float:
    """Share of tokens that were there when a reader at the limit's pace came to them, 0 to 1.

    r_1 = max(t_1, s + TTFT limit), or t_1 without that limit
    r_i = max(t_i, r_(i-1) + TPOT limit); token i > 1 is late if t_i > r_(i-1) + TPOT limit, and
    token 1 if t_1 > s + TTFT limit

    Tokens that are early are slack for later ones; after a wait the reader goes on from there.

    Raises:
        UndefinedMetric: There is no limit of TPOT, or no content.

    Source: the fluidity index of Etalon, arXiv 2407.07000, where a long wait may count as several
        late tokens; here it makes one token late, and ``max_stall`` tells its length.
    """
    if limits.tpot_s is None:
        raise UndefinedMetric("fluidity needs an objective of TPOT")
    if not record.chunk_times_s:
        raise UndefinedMetric(f"request {record.index} has no content, so no fluidity")
    due = record.chunk_times_s[0]
    if limits.ttft_s is not None:
        due = start_s(record, since) + limits.ttft_s
    late = 0
    for time_s, tokens in zip(record.chunk_times_s, record.chunk_tokens, strict=True):
        late += time_s > due
        due = max(time_s, due) + tokens * limits.tpot_s
    return 1 - late / max(len(record.chunk_times_s), sum(record.chunk_tokens))
