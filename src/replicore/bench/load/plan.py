"""Which sessions are sent, and when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from typing import Protocol

import numpy as np

from replicore.bench.load.arrivals import Arrivals
from replicore.bench.load.jobs import Job, Session
from replicore.bench.load.seeds import Stream, generator
from replicore.errors import ConfigError

_FIRST_GUESS = 1024


class Source(Protocol):
    """Sessions that are made up, of a trace, or of recorded texts."""

    @property
    def limit(self) -> int | None:
        """Sessions that there are; None for any number."""
        ...

    @property
    def default(self) -> int | None:
        """Sessions that are sent where nothing else is asked for; None where that must be said."""
        ...

    def jobs(self, session: int, first: int) -> Sequence[Job]:
        """Return the requests of a session, of which ``first`` is the first's index."""
        ...


def warmup_sessions(source: Source, requests: int) -> list[Session]:
    """Return as many sessions of one request."""
    jobs = (source.jobs(index, index) for index in range(requests))
    return [Session(index=index, jobs=one, warmup=True) for index, one in enumerate(jobs)]


def planned_sessions(
    warmup: Sequence[Session],
    source: Source,
    arrivals: Arrivals | None,
    *,
    requests: int | None,
    duration_s: float | None,
    seed: int,
) -> Iterable[Session]:
    """Return all sessions of a run in the order in which they are sent.

    Args:
        requests: None for what arrives in the time, or all that there are.
        duration_s: Of the arrivals; None for no end.

    Raises:
        ConfigError: There are fewer arrivals or rows than requests, or none in the time, or neither
            has an end.
    """
    most = _arrivals(arrivals, duration_s, seed)
    if most == 0:
        raise ConfigError(f"no request arrives within {duration_s:g} s; use a longer duration")
    sessions = islice(_all(source), most)
    if requests is not None:
        measured = _of_requests(sessions, requests, by_time=duration_s is not None)
    else:
        number = most if duration_s is not None else _number(source, most)
        if number is None and source.limit is None:
            return chain(warmup, sessions)
        measured = list(islice(sessions, number))
    if arrivals is None:
        return [*warmup, *measured]
    return _timed(warmup, measured, arrivals, seed)


def _arrivals(arrivals: Arrivals | None, duration_s: float | None, seed: int) -> int | None:
    """Return how many sessions arrive; None for any number."""
    if arrivals is None or duration_s is None:
        return None if arrivals is None else arrivals.limit
    return arrivals_within(arrivals, duration_s, seed)


def _number(source: Source, most: int | None) -> int:
    """Return how many sessions are sent where neither a number nor a time is given."""
    ends = [end for end in (most, source.default) if end is not None]
    if not ends:
        raise ConfigError("a run needs a number of requests, or a duration")
    return min(ends)


def arrivals_within(arrivals: Arrivals, seconds: float, seed: int) -> int:
    """Return how many arrivals there are before ``seconds``."""
    most = _FIRST_GUESS if arrivals.limit is None else arrivals.limit
    times = arrivals.times(most, _rng(seed))
    while arrivals.limit is None and times[-1] < seconds:
        most *= 2
        times = arrivals.times(most, _rng(seed))
    return int(np.searchsorted(times, seconds))


def _all(source: Source) -> Iterator[Session]:
    """Yield session after session, as many as the source has."""
    first = 0
    for index in count() if source.limit is None else range(source.limit):
        jobs = source.jobs(index, first)
        yield Session(index=index, jobs=jobs)
        first += len(jobs)


def _of_requests(sessions: Iterator[Session], requests: int, *, by_time: bool) -> list[Session]:
    """Return the sessions with the first ``requests`` requests; the last one may be cut."""
    found: list[Session] = []
    left = requests
    while left > 0 and (session := next(sessions, None)) is not None:
        whole = len(session.jobs) <= left
        found.append(session if whole else replace(session, jobs=session.jobs[:left]))
        left -= len(session.jobs)
    if left > 0 and not by_time:
        raise ConfigError(
            f"{requests} requests were asked for, and the trace has {requests - left}"
        )
    return found


def _timed(
    warmup: Sequence[Session], measured: Sequence[Session], arrivals: Arrivals, seed: int
) -> list[Session]:
    """Return all sessions with the times at which they should leave.

    The warm-up is a piece of the same process, and the measured sessions follow without a gap: the
    first of them is due when the next one of the warm-up would have been.
    """
    if arrivals.limit is not None and len(warmup) >= arrivals.limit:
        raise ConfigError(
            f"a warm-up of {len(warmup)} requests is too long for a trace of {arrivals.limit}",
            hint="use a smaller --warmup",
        )
    warm = arrivals.times(len(warmup) + 1, generator(seed, Stream.ARRIVALS, 1))
    times = arrivals.times(len(measured), _rng(seed))
    planned = chain(warm[:-1], warm[-1] + times - times[:1])
    sessions = chain(warmup, measured)
    return [
        replace(session, at_s=float(at_s)) for session, at_s in zip(sessions, planned, strict=True)
    ]


def _rng(seed: int) -> np.random.Generator:
    return generator(seed, Stream.ARRIVALS)
