"""What arrived when: tokens and requests as arrays. Pure.

Rates count what arrived within a window, whichever request it belongs to: counting the tokens of
requests that finished in it instead gains from the start of a run and loses at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from replicore.bench.record import RequestRecord
from replicore.bench.stats.arrays import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class Flow:
    """Amounts and when they arrived.

    Attributes:
        times: In seconds of the run's clock, ``(arrivals,)``.
        amounts: ``(arrivals,)``.
        owners: Position of the request that each belongs to, ``(arrivals,)``.
    """

    times: Floats
    amounts: Floats
    owners: Ints

    def of(self, requests: Bools) -> Flow:
        """Return what belongs to some of the requests, ``(requests,)``."""
        chosen = requests[self.owners]
        return Flow(self.times[chosen], self.amounts[chosen], self.owners[chosen])

    def joined(self, other: Flow) -> Flow:
        return Flow(
            np.concatenate((self.times, other.times)),
            np.concatenate((self.amounts, other.amounts)),
            np.concatenate((self.owners, other.owners)),
        )


def output_tokens(records: Sequence[RequestRecord]) -> Flow:
    """Return output tokens at the time of their chunk.

    The tokens of requests that failed do not count: nobody could use them. Those of requests that
    were still running when the run was interrupted do.
    """
    counted = np.array([one.succeeded or one.unfinished for one in records], dtype=np.bool_)
    sizes = np.array([len(one.chunk_times_s) for one in records], dtype=np.int64)
    owners = np.repeat(np.arange(len(records)), sizes)
    times = flat((one.chunk_times_s for one in records), int(sizes.sum()))
    tokens = flat((one.chunk_tokens for one in records), int(sizes.sum()))
    return Flow(times, tokens, owners).of(counted)


def input_tokens(records: Sequence[RequestRecord]) -> Flow:
    """Return input tokens when their processing ended: at the first chunk."""
    return _one_each(
        records,
        counted=lambda one: one.succeeded and bool(one.chunk_times_s),
        when=lambda one: one.chunk_times_s[0],
        amount=lambda one: one.input_tokens or 0,
    )


def completions(records: Sequence[RequestRecord]) -> Flow:
    """Return successful requests at the end of their stream."""
    return _one_each(
        records,
        counted=lambda one: one.succeeded,
        when=lambda one: one.ended_s,
        amount=lambda _: 1,
    )


def _one_each(
    records: Sequence[RequestRecord],
    *,
    counted: Callable[[RequestRecord], bool],
    when: Callable[[RequestRecord], float],
    amount: Callable[[RequestRecord], float],
) -> Flow:
    chosen = [(place, one) for place, one in enumerate(records) if counted(one)]
    return Flow(
        np.array([when(one) for _, one in chosen], dtype=np.float64),
        np.array([amount(one) for _, one in chosen], dtype=np.float64),
        np.array([place for place, _ in chosen], dtype=np.int64),
    )


def flat(parts: Iterable[Sequence[float]], count: int) -> Floats:
    """Return the values of all parts one after the other, ``(count,)``."""
    return np.fromiter(chain.from_iterable(parts), dtype=np.float64, count=count)
