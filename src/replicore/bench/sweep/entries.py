"""What is kept of a sweep while it goes on: one entry for each run. Pure.

An entry has all that the comparison of layouts needs, so a sweep that is resumed never reads its
runs again; the whole record of each is in a file of its own, for everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from replicore.bench.record import RequestRecord
from replicore.bench.stats.latency import e2e, tpot, ttft
from replicore.bench.stats.summary import Rate, Window
from replicore.bench.sweep.plan import Point
from replicore.errors import UndefinedMetric

SWEEP = "replicore-sweep-journal/1"
TUNING = "replicore-tune-journal/1"

# What a journal of a schema is of, for people.
_WORDS = {SWEEP: "a sweep", TUNING: "a tuning"}

# A microsecond is less than any clock of ours is good for, and a third of the digits.
_DIGITS = 6


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun", tag_field="entry"):
    """The first entry.

    Attributes:
        seed: The prompts of all runs follow from it.
        conditions: What all runs have in common, by dotted name; runs under others cannot be
            compared with them.
    """

    schema: str = SWEEP
    name: str
    seed: int
    started_at: str
    conditions: dict[str, str]

    @property
    def what(self) -> str:
        return _WORDS.get(self.schema, "another kind")


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """Of the requests that were sent within the window, ``(requests,)`` each, in seconds.

    Attributes:
        ttft_s: None for a request that failed.
        tpot_s: None also for an answer of less than two tokens.
        e2e_s: None for a request that failed.
    """

    ttft_s: tuple[float | None, ...]
    tpot_s: tuple[float | None, ...]
    e2e_s: tuple[float | None, ...]


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="entry"):
    """One run.

    Attributes:
        seed: Of its prompts.
        slots: Requests that the layout works on at the same time.
        cores: Core range of each replica.
        ready_s: From the deployment's start until every replica served.
        file: The run's own document, from the journal's folder.
        verdict: Whether the numbers can be trusted, and ``reasons`` why.
        restarts: Of replicas, while it was made: streams go on elsewhere then, without an error.
        requests: Measured, failed ones included.
        errors: How many failed in which way.
    """

    layout: str
    concurrency: int
    repeat: int
    seed: int
    slots: int
    cores: tuple[str, ...]
    ready_s: float
    started_at: str
    duration_s: float
    file: str
    simulated: bool
    verdict: str
    reasons: tuple[str, ...]
    restarts: int = 0
    requests: int
    errors: dict[str, int]
    output_tokens_per_s: Rate | None
    total_tokens_per_s: Rate | None
    requests_per_s: Rate | None
    latencies: Latencies

    @property
    def point(self) -> Point:
        return Point(self.layout, self.concurrency, self.repeat)


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", tag_field="entry"):
    """A layout that could not be measured; it is left alone until the sweep is resumed."""

    layout: str
    repeat: int
    message: str


Entry = Begun | Run | Failed


def latencies_of(records: Sequence[RequestRecord], window: Window) -> Latencies:
    """Return the latencies of the requests that were sent within the window."""
    sent = [record for record in records if window.holds(record.dispatched_s)]
    return Latencies(
        ttft_s=_column(ttft, sent), tpot_s=_column(tpot, sent), e2e_s=_column(e2e, sent)
    )


def _column(
    metric: Callable[[RequestRecord], float], records: Sequence[RequestRecord]
) -> tuple[float | None, ...]:
    return tuple(_value(metric, record) for record in records)


def _value(metric: Callable[[RequestRecord], float], record: RequestRecord) -> float | None:
    if not record.succeeded:
        return None
    try:
        return round(metric(record), _DIGITS)
    except UndefinedMetric:
        return None
