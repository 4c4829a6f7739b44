"""The life of a replica: its states, its events, and when it is started again.

Theory of operation
===================

A replica is always in one state. Whatever happens to it is an event, and :data:`TRANSITIONS` says
what the event does in that state. Nothing else changes a state, and an event that a state has no
row for is a bug in the caller, not something to ignore.

A replica is *live*, that is, a process of it exists, exactly in ``starting``, ``ready``,
``draining`` and ``condemned``. To keep that true, an event that leaves the live states is fed only
once the process and all that it forked are gone. So whoever sees ``stopped``, ``backoff``,
``crash_loop`` or ``failed`` knows that the cores are free::

    stopped ──start──▶ starting ──ready──▶ ready ───condemn──▶ condemned
       ▲                │  │ │               │ │                   │
       │        refused │  │ └──stop──┐ stop │ │ exited            │ exited
       │                ▼  │exited    ▼      ▼ │                   │
       │             failed│        draining   │                   │
       │◀──────exited──────┼───────────┘       │                   │
       │                   ▼                   │                   │
       │◀──────stop────── backoff ◀────────────┴───────────────────┘
       │                   │    └──start──▶ starting
       │                   ▼ give_up
       └──────stop─────── crash_loop

``condemned`` is a replica that is hung and being killed. It differs from ``draining`` in what comes
after: nobody asked for this end, so it counts as a failure and the replica is started again.

``failed`` and ``crash_loop`` are both the end until somebody asks, but differ in what they say:
``failed`` is an engine that cannot work as it was planned, so that a second start would only waste
the time of the first; ``crash_loop`` is one that might, but did not, ``max_failures`` times.

:func:`restart_delay` alone decides between ``start`` and ``give_up`` in ``backoff``. It is a
function of the runs that ended, the time and a random generator; it holds no state.

The gateway's process lives by the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from random import Random


@unique
class State(Enum):
    """What a replica is doing; the value is its name for people, the gateway and JSON."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    CONDEMNED = "condemned"
    BACKOFF = "backoff"
    CRASH_LOOP = "crash_loop"
    FAILED = "failed"


@unique
class Event(Enum):
    """What can happen to a replica."""

    START = "start"  # it is wanted, or its back-off is over
    READY = "ready"  # the engine's own check passed
    EXITED = "exited"  # the process and all that it forked are gone
    REFUSED = "refused"  # it cannot work as planned, and its process is gone
    STOP = "stop"  # somebody asked
    CONDEMN = "condemn"  # it is hung
    GIVE_UP = "give_up"  # it ended too often


TRANSITIONS: Mapping[State, Mapping[Event, State]] = {
    State.STOPPED: {
        Event.START: State.STARTING,
    },
    State.STARTING: {
        Event.READY: State.READY,
        Event.EXITED: State.BACKOFF,
        Event.REFUSED: State.FAILED,
        Event.STOP: State.DRAINING,
    },
    State.READY: {
        Event.EXITED: State.BACKOFF,
        Event.STOP: State.DRAINING,
        Event.CONDEMN: State.CONDEMNED,
    },
    State.DRAINING: {
        Event.EXITED: State.STOPPED,
    },
    State.CONDEMNED: {
        Event.EXITED: State.BACKOFF,
    },
    State.BACKOFF: {
        Event.START: State.STARTING,
        Event.GIVE_UP: State.CRASH_LOOP,
        Event.STOP: State.STOPPED,
    },
    State.CRASH_LOOP: {
        Event.STOP: State.STOPPED,
    },
    State.FAILED: {
        Event.STOP: State.STOPPED,
    },
}

LIVE = frozenset({State.STARTING, State.READY, State.DRAINING, State.CONDEMNED})
GIVEN_UP = frozenset({State.CRASH_LOOP, State.FAILED})

# A delay is between half of its back-off and all of it: replicas that died of one cause (memory,
# disk, a driver) must not load their weights again at the same moment.
JITTER = 0.5

# Runs remembered: enough for any sensible ``max_failures``, and a bound on the exponent below.
_MEMORY = 64


class ImpossibleEvent(RuntimeError):
    """Raised for an event that the state has no row for: a bug in the caller."""


def next_state(state: State, event: Event) -> State:
    """Return the state after ``event``.

    Raises:
        ImpossibleEvent: The state has no row for it.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise ImpossibleEvent(f'event "{event.value}" in state "{state.value}"') from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """When to start again what ended by itself; all times in seconds.

    Attributes:
        backoff_initial_s: Back-off after the first failure; each further one doubles it.
        backoff_max_s: The longest back-off.
        stable_after_s: A run that was ready for this long wipes out the failures before it.
        max_failures: So many failures within ``window_s`` are a crash loop; None never gives up.
    """

    backoff_initial_s: float = 1.0
    backoff_max_s: float = 60.0
    stable_after_s: float = 60.0
    max_failures: int | None = 5
    window_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run that ended without being asked to.

    Attributes:
        at: When it ended, in seconds on a monotonic clock.
        ready_s: For how long it was ready before that; 0 if it never was.
    """

    at: float
    ready_s: float = 0.0


History = tuple[Failure, ...]
"""Failures since the last stable run, its own end included; oldest first."""


def remember(history: History, failure: Failure, policy: RestartPolicy) -> History:
    """Return the history with one more failure, which starts it afresh if its run was stable.

    That the run became ready is not enough: an engine that dies of its first requests is ready
    each time, and would be restarted without a back-off for ever.
    """
    if failure.ready_s >= policy.stable_after_s:
        return (failure,)
    return (*history, failure)[-_MEMORY:]


def restart_delay(
    history: History, *, now: float, policy: RestartPolicy, rng: Random
) -> float | None:
    """Return the wait until the next start, in seconds; None is a crash loop.

    min(backoff_max, backoff_initial x 2^(failures - 1)) x (1 - JITTER x U[0, 1))
    """
    recent = [failure for failure in history if now - failure.at < policy.window_s]
    if policy.max_failures is not None and len(recent) >= policy.max_failures:
        return None
    doublings = max(len(history) - 1, 0)
    backoff = min(policy.backoff_max_s, policy.backoff_initial_s * 2.0**doublings)
    return backoff * (1 - JITTER * rng.random())
