"""Counts what one process has done so far, for its ticks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from replicore.bench.client.call import Call
from replicore.bench.client.tick import ReplicaTick, Tick
from replicore.bench.record import RequestRecord


@dataclass(slots=True)
class _Counts:
    """Of one replica's measured requests; ``in_flight`` of all."""

    done: int = 0
    in_flight: int = 0
    errors: int = 0
    output_tokens: int = 0


class Tally:
    """Counts calls when they are over, and corrects that once they are read.

    Args:
        total: Measured requests there will be; None where nobody knows.
        warmup: Requests of the warm-up there will be; None counts those in flight.
    """

    def __init__(self, total: int | None, warmup: int | None) -> None:
        self._total = total
        self._warmup = warmup
        self._warm_done = 0
        self._replicas: defaultdict[str, _Counts] = defaultdict(_Counts)
        self._ttfts: list[float] = []

    def over(self, call: Call) -> None:
        """Count a call by what its end tells."""
        if call.warmup:
            self._warm_done += 1
            return
        counts = self._replicas[call.replica]
        counts.done += 1
        counts.errors += call.failed
        counts.output_tokens += call.reads

    def read(self, call: Call, record: RequestRecord) -> None:
        """Correct the counts of a call by its record."""
        if call.warmup:
            return
        counts = self._replicas[call.replica]
        counts.errors += (not record.succeeded and not record.unfinished) - call.failed
        counts.output_tokens += (record.output_tokens or len(record.chunk_times_s)) - call.reads
        if record.chunk_times_s:
            self._ttfts.append(record.chunk_times_s[0] - record.dispatched_s)

    def tick(self, in_flight: Iterable[Call], elapsed_s: float) -> Tick:
        """Return the counts, with those of the calls in flight; times to first token only once."""
        replicas, warming = self._with(in_flight)
        ttfts, self._ttfts = tuple(self._ttfts), []
        counts = replicas.values()
        return Tick(
            done=sum(one.done for one in counts),
            total=self._total,
            warming=warming if self._warmup is None else self._warmup - self._warm_done,
            in_flight=sum(one.in_flight for one in counts),
            errors=sum(one.errors for one in counts),
            output_tokens=sum(one.output_tokens for one in counts),
            elapsed_s=elapsed_s,
            recent_ttft_s=ttfts,
            replicas=tuple(_replica_tick(name, one) for name, one in sorted(replicas.items())),
        )

    def _with(self, in_flight: Iterable[Call]) -> tuple[dict[str, _Counts], int]:
        """Return the counts and those of the calls in flight; how many of them are warming up."""
        replicas: defaultdict[str, _Counts] = defaultdict(_Counts)
        for name, one in self._replicas.items():
            replicas[name] = _Counts(one.done, 0, one.errors, one.output_tokens)
        warming = 0
        for call in in_flight:
            counts = replicas[call.replica]
            counts.in_flight += 1
            counts.output_tokens += 0 if call.warmup else call.reads
            warming += call.warmup
        return replicas, warming


def _replica_tick(name: str, counts: _Counts) -> ReplicaTick:
    return ReplicaTick(
        name=name,
        done=counts.done,
        in_flight=counts.in_flight,
        errors=counts.errors,
        output_tokens=counts.output_tokens,
    )
