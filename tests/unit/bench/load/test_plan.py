"""Which sessions are sent, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pytest

from replicore.bench.load.arrivals import Arrivals, Constant, Poisson, Ramp, Trace
from replicore.bench.load.jobs import Job, Session
from replicore.bench.load.plan import arrivals_within, planned_sessions, warmup_sessions
from replicore.errors import ConfigError


@dataclass(frozen=True)
class Turning:
    """Sessions of so many turns each."""

    turns: int = 1
    limit: int | None = None
    default: int | None = None

    def jobs(self, session: int, first: int) -> Sequence[Job]:
        return [
            Job(index=first + turn, body=b"", input_tokens=1, output_tokens=1)
            for turn in range(self.turns)
        ]


def plan(
    source: Turning | None = None,
    arrivals: Arrivals | None = None,
    *,
    warmup: int = 0,
    requests: int | None = None,
    duration_s: float | None = None,
    seed: int = 1,
) -> Iterable[Session]:
    return planned_sessions(
        warmup_sessions(Turning(), warmup),
        source or Turning(),
        arrivals,
        requests=requests,
        duration_s=duration_s,
        seed=seed,
    )


def times(sessions: Iterable[Session], *, warmup: bool) -> list[Any]:
    return [session.at_s for session in sessions if session.warmup == warmup]


def indices(sessions: Iterable[Session]) -> list[int]:
    return [job.index for session in sessions for job in session.jobs]


def test_closed_loop_has_its_requests_and_no_times() -> None:
    sessions = list(plan(requests=5))

    assert indices(sessions) == [0, 1, 2, 3, 4]
    assert [session.index for session in sessions] == [0, 1, 2, 3, 4]
    assert times(sessions, warmup=False) == [None] * 5


def test_warmup_comes_first_and_is_numbered_on_its_own() -> None:
    sessions = list(plan(warmup=2, requests=3))

    assert [(session.warmup, session.index) for session in sessions] == [
        (True, 0),
        (True, 1),
        (False, 0),
        (False, 1),
        (False, 2),
    ]


def test_last_session_is_cut_so_that_the_requests_are_exactly_as_many() -> None:
    sessions = list(plan(Turning(turns=3), requests=7))

    assert [len(session.jobs) for session in sessions] == [3, 3, 1]
    assert indices(sessions) == list(range(7))


def test_closed_loop_by_time_is_without_end() -> None:
    sessions = iter(plan(warmup=1, duration_s=2))

    assert indices(islice(sessions, 1)) == [0]
    assert indices(islice(sessions, 5000)) == list(range(5000))


def test_run_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="a number of requests, or a duration"):
        plan()


def test_trace_is_sent_whole_where_nothing_else_is_asked() -> None:
    assert indices(plan(Turning(limit=4, default=4))) == [0, 1, 2, 3]
    assert len(list(plan(arrivals=Trace((0.0, 1.0, 5.0))))) == 3


def test_recorded_texts_are_sent_once_where_nothing_else_is_asked() -> None:
    assert indices(plan(Turning(default=4))) == [0, 1, 2, 3]
    assert len(list(plan(Turning(default=4), Poisson(1)))) == 4
    assert len(list(plan(Turning(default=4), Trace((0.0, 1.0))))) == 2


def test_recorded_texts_come_again_where_more_are_asked() -> None:
    assert indices(plan(Turning(default=4), requests=6)) == list(range(6))
    assert indices(islice(plan(Turning(default=4), duration_s=9), 6)) == list(range(6))


def test_more_requests_than_a_trace_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 requests were asked for, and the trace has 4"):
        plan(Turning(limit=4), requests=5)
    with pytest.raises(ConfigError, match="5 requests were asked for, and the trace has 2"):
        plan(arrivals=Trace((0.0, 1.0)), requests=5)


def test_open_loop_by_time_has_the_arrivals_of_that_time() -> None:
    assert times(plan(arrivals=Constant(2), duration_s=2), warmup=False) == [0, 0.5, 1, 1.5]
    assert len(list(plan(arrivals=Trace((0.0, 1.0, 5.0)), duration_s=5))) == 2


def test_open_loop_ends_with_its_requests_or_its_time() -> None:
    assert len(list(plan(arrivals=Constant(2), duration_s=10, requests=3))) == 3
    assert len(list(plan(arrivals=Constant(2), duration_s=1, requests=30))) == 2


def test_arrivals_of_a_long_time_are_all_counted() -> None:
    assert arrivals_within(Constant(100), 60, seed=1) == 6000


def test_open_loop_s_warmup_and_measured_sessions_follow_without_a_gap() -> None:
    sessions = list(plan(arrivals=Constant(4), warmup=2, requests=3))

    assert times(sessions, warmup=True) == [0, 0.25]
    assert times(sessions, warmup=False) == [0.5, 0.75, 1]


def test_first_measured_session_is_one_interval_after_the_warmup() -> None:
    sessions = [list(plan(arrivals=Poisson(1), warmup=1, requests=1, seed=n)) for n in range(400)]
    gaps = [float(measured.at_s or 0) - float(warm.at_s or 0) for warm, measured in sessions]

    # Exponential with mean 1: standard error 1 / sqrt(400) = 0.05
    assert abs(np.mean(gaps) - 1) < 0.25


def test_warmup_of_a_ramp_does_not_eat_its_beginning() -> None:
    ramp = Ramp(1, 9, 4)
    warm = np.array(times(plan(arrivals=ramp, warmup=3, requests=9), warmup=False))
    cold = np.array(times(plan(arrivals=ramp, requests=9), warmup=False))

    assert np.allclose(warm - warm[0], cold - cold[0])


def test_random_arrivals_follow_the_seed_whatever_the_number_of_requests() -> None:
    few = times(plan(arrivals=Poisson(10), requests=5), warmup=False)
    many = times(plan(arrivals=Poisson(10), requests=500), warmup=False)

    assert few == many[:5]
    assert many == sorted(many)


def test_sessions_of_several_turns_arrive_as_sessions() -> None:
    sessions = list(plan(Turning(turns=3), Constant(1), requests=7))

    assert times(sessions, warmup=False) == [0, 1, 2]


def test_time_in_which_nothing_arrives_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no request arrives within 0\.001 s"):
        plan(arrivals=Poisson(1), duration_s=0.001)


def test_warmup_that_is_longer_than_the_trace_is_refused() -> None:
    trace = Trace((0.0, 1.0, 2.0))
    assert times(plan(arrivals=trace, warmup=2, requests=1), warmup=False) == [2.0]

    with pytest.raises(ConfigError, match=r"warm-up of 3 requests .* trace of 3"):
        plan(arrivals=trace, warmup=3, requests=1)
