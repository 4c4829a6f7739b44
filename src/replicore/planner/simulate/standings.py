"""How the replicas of a simulated fleet stand, and which one the gateway's policy takes. Pure.

The policies are the gateway's own (``gateway/routing/policies.py``). They look at one replica after
the other; with a thousand of them that takes a millisecond for a request. So those that work each
cost out of its own replica alone are given all replicas as one, with an array in place of every
number: the same operations in the same order, for all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from replicore.gateway.routing.policies import POLICIES, Load, Speed, cheapest
from replicore.gateway.routing.standing import Ask
from replicore.planner.simulate.replica import Replica
from replicore.planner.simulate.speeds import Speeds

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Policies whose cost of a replica does not depend on the others.
_ELEMENTWISE = frozenset({"least_work", "least_outstanding"})

_ANY_NUMBER = 2**62


@dataclass(slots=True)
class Row:
    """One replica: a ``policies.Load``."""

    key: int
    rates: Speed
    outstanding: int = 0
    prefill_tokens: float = 0.0
    decode_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class _Rates:
    """Speeds of several replicas: a ``policies.Speed`` with arrays."""

    prefill_rate: Floats
    step_base_s: Floats
    step_slope_s: Floats


@dataclass(frozen=True, slots=True)
class _Rows:
    """Several replicas as one: a ``policies.Load`` with arrays."""

    outstanding: Ints
    prefill_tokens: Floats
    decode_tokens: Floats
    rates: _Rates


class Standings:
    """All replicas, by number.

    Args:
        keys: What stands for each one's name.
        limits: Requests that each may have; None for any number.
    """

    def __init__(
        self,
        policy: str,
        keys: Sequence[int],
        limits: Sequence[int | None],
        rates: Sequence[Speeds],
    ) -> None:
        count = len(keys)
        self._policy = POLICIES[policy]
        self._is_elementwise = policy in _ELEMENTWISE
        self._reads_work = policy == "least_work"
        self._rows = list(map(Row, keys, rates))
        self._limits = np.array([_ANY_NUMBER if most is None else most for most in limits])
        self._room = self._limits.copy()
        self._outstanding = np.zeros(count, dtype=np.int64)
        self._turn = 0
        # Prompt tokens, output tokens as the stretch began, decoding requests, and the stretch:
        # start, first_s, growth_s, count.
        self._work = np.zeros((7, count))
        self._rates = np.array(
            [(one.prefill_rate, one.step_base_s, one.step_slope_s) for one in rates]
        ).T

    def opened(self, replica: int) -> None:
        """Count a request in."""
        self._outstanding[replica] += 1
        self._rows[replica].outstanding += 1

    def closed(self, replica: int) -> None:
        """Count a request out."""
        self._outstanding[replica] -= 1
        self._rows[replica].outstanding -= 1

    def set_up(self, replica: int, *, is_up: bool) -> None:
        """Note that a replica failed or came back; one that fails has no requests any more."""
        self._room[replica] = self._limits[replica] if is_up else 0
        if not is_up:
            self._outstanding[replica] = self._rows[replica].outstanding = 0

    def note(self, replica: int, state: Replica) -> None:
        """Note what a replica does from now on."""
        if not self._reads_work:
            return
        work, stretch = self._work, state.stretch
        work[0, replica] = state.prompt_tokens
        work[1, replica] = state.left_tokens
        if stretch is None:
            work[2, replica] = 0
            return
        work[2:, replica] = (
            state.decoding,
            stretch.start,
            stretch.first_s,
            stretch.growth_s,
            stretch.count,
        )

    def able(self) -> Ints:
        """Return which replicas have room for a request."""
        return np.flatnonzero(self._outstanding < self._room)

    def choose(
        self, able: Ints, prompt_tokens: int, output_tokens: int, session: int, now: float
    ) -> int:
        """Return the replica that the policy takes of ``able``, at least one."""
        self._turn = turn = self._turn + 1
        if self._is_elementwise:
            ask = Ask(prompt_tokens, output_tokens, (0.0,), session, turn)
            (costs,) = self._policy((self._all(able, now),), ask)
            return int(able[_cheapest(cast(Floats, costs), turn)])
        ask = Ask(prompt_tokens, output_tokens, (0.0,) * len(able), session, turn)
        rows = self._rows
        loads = rows if len(able) == len(rows) else [rows[index] for index in able.tolist()]
        return int(able[cheapest(self._policy(loads, ask), turn)])

    def rows(self, able: Ints, now: float) -> list[Row]:
        """Return all that a policy may look at, one replica after the other."""
        work = zip(*self._tokens(able, now), strict=True)
        return [
            replace(self._rows[index], prefill_tokens=prompt, decode_tokens=output)
            for index, (prompt, output) in zip(able.tolist(), work, strict=True)
        ]

    def _all(self, able: Ints, now: float) -> Load:
        zeros = np.zeros(len(able))
        prefill, decode = self._tokens(able, now) if self._reads_work else (zeros, zeros)
        rates = _Rates(*self._rates[:, able])
        return cast(Load, _Rows(self._outstanding[able], prefill, decode, rates))

    def _tokens(self, able: Ints, now: float) -> tuple[Floats, Floats]:
        """Return the prompt tokens to be worked through, and the output tokens expected, each."""
        prompt, left, decoding, start, first_s, growth_s, count = self._work[:, able]
        passed = np.maximum(now - start, 0.0)
        # As Stretch.done, for all at once.
        linear = first_s - growth_s / 2
        below = linear + np.sqrt(np.maximum(linear * linear + 2 * growth_s * passed, 0.0))
        steps = np.divide(2 * passed, below, out=np.zeros_like(below), where=below > 0)
        return prompt, left - decoding * np.minimum(np.floor(steps), count)


def _cheapest(costs: Floats, turn: int) -> int:
    """Return what ``policies.cheapest`` does."""
    ties = np.flatnonzero(costs == costs.min())
    return int(ties[turn % len(ties)])
