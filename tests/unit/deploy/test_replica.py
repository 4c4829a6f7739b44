from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from replicore.deploy.replica import (
    GIVEN_UP,
    JITTER,
    LIVE,
    TRANSITIONS,
    Event,
    Failure,
    History,
    ImpossibleEvent,
    RestartPolicy,
    State,
    next_state,
    remember,
    restart_delay,
)

POLICY = RestartPolicy(
    backoff_initial_s=1, backoff_max_s=10, stable_after_s=60, max_failures=5, window_s=300
)


class Loaded(Random):
    """A die that always shows the same number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number

    def random(self) -> float:
        return self._number


FULL = Loaded(0.0)  # no jitter is taken off


def failures(*times: float) -> History:
    return tuple(Failure(at=at) for at in times)


def run(history: str) -> State:
    """Return the state after a history such as ``start ready exited``."""
    state = State.STOPPED
    for word in history.split():
        state = next_state(state, Event(word))
    return state


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("start", State.STARTING),
        ("start ready", State.READY),
        ("start ready stop", State.DRAINING),
        ("start ready stop exited", State.STOPPED),
        ("start stop exited", State.STOPPED),
        ("start exited", State.BACKOFF),
        ("start exited start ready", State.READY),
        ("start ready exited", State.BACKOFF),
        ("start ready condemn", State.CONDEMNED),
        ("start ready condemn exited start ready", State.READY),
        ("start exited stop", State.STOPPED),
        ("start exited give_up", State.CRASH_LOOP),
        ("start exited give_up stop start", State.STARTING),
        ("start refused", State.FAILED),
        ("start refused stop start ready", State.READY),
    ],
)
def test_history_ends_in_the_state_of_the_table(history: str, expected: State) -> None:
    assert run(history) is expected


@pytest.mark.parametrize(
    "history",
    ["ready", "start start", "start ready refused", "start exited exited", "start refused start"],
)
def test_event_without_a_row_is_an_error_that_names_both(history: str) -> None:
    with pytest.raises(ImpossibleEvent, match=r'event "[a-z]+" in state "[a-z]+"'):
        run(history)


def test_every_state_that_does_not_end_anyway_can_be_stopped() -> None:
    for state in set(State) - {State.STOPPED, State.DRAINING, State.CONDEMNED}:
        after = TRANSITIONS[state][Event.STOP]

        assert after is (State.DRAINING if state in LIVE else State.STOPPED)


def test_every_state_is_reachable() -> None:
    assert {after for row in TRANSITIONS.values() for after in row.values()} == set(State)


def test_only_stop_ends_what_was_given_up() -> None:
    assert all(set(TRANSITIONS[state]) == {Event.STOP} for state in GIVEN_UP)


def test_a_live_state_is_left_only_by_an_event_that_says_the_process_is_gone() -> None:
    gone = {Event.EXITED, Event.REFUSED}
    leaving = {
        event for state in LIVE for event, after in TRANSITIONS[state].items() if after not in LIVE
    }

    assert leaving == gone


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, 1.0),  # 1 x 2^0
        (2, 2.0),  # 1 x 2^1
        (3, 4.0),  # 1 x 2^2
        (4, 8.0),  # 1 x 2^3
    ],
)
def test_backoff_doubles_with_each_failure(count: int, expected: float) -> None:
    history = failures(*range(count))

    assert restart_delay(history, now=count, policy=POLICY, rng=FULL) == expected


def test_backoff_is_at_most_the_maximum() -> None:
    # Five failures, each 100 s after the last: three of them are in the window of 300 s. 2^4 = 16.
    history = failures(0, 100, 200, 300, 400)

    assert restart_delay(history, now=400, policy=POLICY, rng=FULL) == 10.0


@pytest.mark.parametrize(("drawn", "expected"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_jitter_takes_off_up_to_half(drawn: float, expected: float) -> None:
    assert JITTER == 0.5
    delay = restart_delay(failures(0), now=0, policy=POLICY, rng=Loaded(drawn))

    assert delay == expected


def test_max_failures_in_the_window_are_a_crash_loop() -> None:
    history = failures(0, 1, 2, 3, 4)

    assert restart_delay(history, now=4, policy=POLICY, rng=FULL) is None


def test_failures_older_than_the_window_do_not_make_a_crash_loop() -> None:
    history = failures(0, 1, 2, 3, 300)  # at 300 s the first one is exactly as old as the window

    assert restart_delay(history, now=300, policy=POLICY, rng=FULL) == 10.0


def test_one_failure_is_a_crash_loop_where_only_one_is_allowed() -> None:
    once = RestartPolicy(max_failures=1)

    assert restart_delay(failures(0), now=0, policy=once, rng=FULL) is None


def test_endless_history_has_a_finite_backoff() -> None:
    history: History = ()
    for at in range(0, 2_000_000, 1000):
        history = remember(history, Failure(at=at), POLICY)

    assert restart_delay(history, now=2_000_000, policy=POLICY, rng=FULL) == 10.0


@pytest.mark.parametrize(
    ("ready_s", "expected"),
    [
        (0.0, 3),  # never ready
        (59.9, 3),  # ready, but not for long enough
        (60.0, 1),  # stable: only its own end counts
    ],
)
def test_only_a_stable_run_wipes_out_earlier_failures(ready_s: float, expected: int) -> None:
    history = remember(failures(0, 1), Failure(at=100, ready_s=ready_s), POLICY)

    assert len(history) == expected


def test_engine_that_dies_soon_after_each_ready_ends_in_a_crash_loop() -> None:
    history: History = ()
    delays: list[float | None] = []
    now = 0.0
    while not delays or delays[-1] is not None:
        now += 5 + (delays[-1] or 0 if delays else 0)
        history = remember(history, Failure(at=now, ready_s=4.0), POLICY)
        delays.append(restart_delay(history, now=now, policy=POLICY, rng=FULL))

    assert delays == [1.0, 2.0, 4.0, 8.0, None]


def test_policy_without_a_limit_never_gives_up() -> None:
    policy = replace(POLICY, max_failures=None)
    history = failures(*[0.0] * 60)

    assert restart_delay(history, now=1, policy=policy, rng=FULL) == policy.backoff_max_s
