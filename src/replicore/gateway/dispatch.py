"""Finds a replica for every request: now, when one has room, or never."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from replicore.errors import ConfigError
from replicore.gateway.admission import FairQueue, QueueFull
from replicore.gateway.proxy import ProxiedRequest
from replicore.gateway.record import Candidate, Choice, Explanation
from replicore.gateway.routing.cells import Cells
from replicore.gateway.routing.ledger import Account
from replicore.gateway.routing.policies import (
    LOOK_AHEAD,
    PATIENCE,
    PATIENT,
    POLICIES,
    cheapest,
    holding_s,
    worth_waiting,
)
from replicore.gateway.routing.standing import Ask, Standing
from replicore.gateway.table import Settings
from replicore.gateway.upstream import READY, Upstream

# Replicas in these states will serve again by themselves; requests wait for them.
_COMING = frozenset({"stopped", "starting", "ready", "draining", "condemned", "backoff"})

# Choices that can still be asked for.
_REMEMBERED = 1024

# Choices in one explanation, the latest: clients choose the ids, and may use one again and again.
_EXPLAINED = 16

# One choice as it was made: id of the request, reason, when, how long it waited, index of the
# chosen, how the candidates stood, their costs, and what was asked for. It is put into words only
# when somebody asks.
_Chosen = tuple[str, str, float, float, int, list[Standing], Sequence[float], Ask]

# How long the news of a replica's death may take.
_TABLE_S = 1.0

# Two workers that want the last slot of a replica may both step back; neither tells the other.
_LOOK_AGAIN_S = 0.001


class Dispatcher:
    """Hands requests to replicas with room; the others wait in one fair queue.

    Attributes:
        upstreams: By name, in order of the table; replaced as a whole with every table.

    Args:
        wake: Tells another worker, by its index, that a slot may be free.
    """

    def __init__(self, settings: Settings, cells: Cells, wake: Callable[[int], None]) -> None:
        policy = POLICIES.get(settings.policy)
        if policy is None:
            valid = ", ".join(POLICIES)
            raise ConfigError(
                f'gateway.policy: unknown policy "{settings.policy}" (valid: {valid})'
            )
        self.upstreams: dict[str, Upstream] = {}
        self._policy = policy
        self._policy_name = settings.policy
        self._is_patient = settings.policy in PATIENT
        self._queue_timeout = settings.queue_timeout
        self._queue: FairQueue[ProxiedRequest] = FairQueue(settings.max_queue)
        self._waiting = 0
        self._cells = cells
        self._wake = wake
        self._turn = 0
        self._choices: deque[_Chosen] = deque(maxlen=_REMEMBERED)
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time

    def __len__(self) -> int:
        """Return how many requests wait."""
        return self._waiting

    @property
    def has_hope(self) -> bool:
        """Whether a replica serves, or will by itself: one that just died is started again."""
        return any(one.row.state in _COMING for one in self.upstreams.values())

    def seek(self, waiting: ProxiedRequest, *, front: bool = False) -> None:
        """Send to a replica with room; wait in the queue for one; refuse if none can come.

        Args:
            front: Wait before everybody else: the client has the beginning of its answer already.
        """
        may_wait = self._waiting < self._queue.limit
        held = self._is_patient and may_wait and not front and self._hold(waiting)
        if not self._waiting and not held and self._place(waiting):
            return
        if self.has_hope:
            self._let_wait(waiting, front=front)
            if self._waiting > 1 or self._cells.workers > 1:
                # Another worker may have freed a slot before it could see that somebody waits here.
                self.woken()
        else:
            waiting.give_up("no replica can serve requests", code="no_ready_replica")

    def leave(self, waiting: ProxiedRequest) -> None:
        """Take a request out of the queue, if it waits there."""
        if waiting.timer is None:
            return
        self._queue.remove(waiting)
        self._count_waiting()
        waiting.timer.cancel()
        waiting.timer = None

    def freed(self) -> None:
        """A slot is free: give it to who waits; what nobody here wants is another worker's."""
        if self._waiting:
            self.woken()
        if self._cells.workers > 1 and self._has_room:
            for worker in self._cells.others_waiting():
                self._wake(worker)

    def woken(self) -> None:
        """Give free slots to those who wait here.

        It wakes no other worker: two whose requests cannot use what is free would wake each other
        without end.
        """
        while self._waiting and self._has_room:
            waiting = self._next()
            if waiting is None:
                break
            self.leave(waiting)
            if not self._place(waiting):
                # Another worker was faster.
                self._let_wait(waiting, front=True)
                break

    def has_other(self, waiting: ProxiedRequest) -> bool:
        """Whether a replica has room that has not failed the request and does not serve it now."""
        failed = waiting.failed or ()
        return any(
            one.account.has_room and one.key not in failed and waiting not in one.serving
            for one in self.upstreams.values()
        )

    def reconsider(self) -> None:
        """Let those who wait seek anew, after a table in which nobody may be left for them."""
        self.freed()
        if not self.has_hope:
            for waiting in self._queue.entries():
                self.leave(waiting)
                self.seek(waiting)

    def explain(self, request_id: str) -> Explanation | None:
        """Return why a request went where it went; None if it is unknown, or was long ago."""
        chosen = [one for one in self._choices if one[0] == request_id][-_EXPLAINED:]
        if not chosen:
            return None
        ask = chosen[0][-1]
        return Explanation(
            request_id=request_id,
            prompt_tokens=ask.prompt_tokens,
            output_tokens=ask.output_tokens,
            choices=[_choice(one, self._policy_name) for one in chosen],
        )

    # inside

    def _count_waiting(self) -> None:
        self._waiting = len(self._queue)
        self._cells.waiting = float(self._waiting)

    @property
    def _has_room(self) -> bool:
        return any(one.account.has_room for one in self.upstreams.values())

    def _fits(self, waiting: ProxiedRequest) -> bool:
        """Whether a replica with room may serve the request, and it is not held for another one."""
        failed = waiting.failed
        has_room = any(
            one.account.has_room and (not failed or one.key not in failed)
            for one in self.upstreams.values()
        )
        if not has_room or waiting.held_until <= self._now():
            return has_room
        return not worth_waiting(waiting.prompt_tokens, *self._cached(waiting)[:2])

    def _next(self) -> ProxiedRequest | None:
        """Take out of the queue who is first, or who is near the front and fits better."""
        replicas = len(self.upstreams)
        looks, patience = LOOK_AHEAD * replicas, PATIENCE * replicas
        passed_over: list[ProxiedRequest] = []

        def suits(waiting: ProxiedRequest) -> bool:
            nonlocal looks
            looks -= 1
            if looks < 0 or not self._fits(waiting):
                return False
            if passed_over and waiting.priority != passed_over[0].priority:
                return False
            if waiting.hashes and waiting.passed_over < patience:
                here, elsewhere, _ = self._cached(waiting)
                if worth_waiting(waiting.prompt_tokens, here, elsewhere):
                    passed_over.append(waiting)
                    return False
            return True

        if self._is_patient and replicas > 1 and self._waiting > 1:
            suited = self._queue.take(suits)
            if suited is not None:
                for waiting in passed_over:
                    waiting.passed_over += 1
                return suited
        return self._queue.take(self._fits)

    def _hold(self, waiting: ProxiedRequest) -> bool:
        """Whether the request had better wait for a replica that has its prompt, and is full."""
        if not waiting.hashes or not self._is_partly_full:
            return False
        here, elsewhere, home = self._cached(waiting)
        if home is None or not worth_waiting(waiting.prompt_tokens, here, elsewhere):
            return False
        now = self._now()
        seconds = holding_s(home.standing(now), elsewhere - here)
        if seconds:
            waiting.held_until = now + seconds
            self._loop.call_later(seconds, self.woken)
        return seconds > 0

    @property
    def _is_partly_full(self) -> bool:
        """Whether some of the replicas that are ready have room, and some have not."""
        rooms = [one.account.has_room for one in self.upstreams.values() if one.account.ready]
        return any(rooms) and not all(rooms)

    def _cached(self, waiting: ProxiedRequest) -> tuple[float, float, Account | None]:
        """Return the most of the prompt in caches of replicas with room; without; who that is."""
        here = elsewhere = 0.0
        home = None
        failed = waiting.failed
        for one in self.upstreams.values():
            account = one.account
            if not account.ready or (failed and one.key in failed):
                continue
            matched = account.matched(waiting.hashes)
            if account.has_room:
                here = max(here, matched)
            elif matched > elsewhere:
                elsewhere, home = matched, account
        return here, elsewhere, home

    def _place(self, waiting: ProxiedRequest) -> bool:
        """Send the request to the best replica with room; return whether there was one."""
        failed, hashes, now = waiting.failed, waiting.hashes, self._now()
        able: list[Upstream] = []
        standings: list[Standing] = []
        matched: list[float] = []
        for one in self.upstreams.values():
            account = one.account
            if account.has_room and (not failed or one.key not in failed):
                able.append(one)
                standings.append(account.standing(now))
                matched.append(account.matched(hashes) if hashes else 0.0)
        if not able:
            return False
        self._turn = turn = self._turn + 1
        prompt_tokens, output_tokens = waiting.prompt_tokens, waiting.output_tokens
        ask = Ask(prompt_tokens, output_tokens, matched, waiting.session, turn)
        costs = self._policy(standings, ask)
        index = cheapest(costs, turn)
        chosen = able[index]
        ticket = chosen.account.try_open(
            prompt_tokens, output_tokens, hashes, now, stream=waiting.streaming
        )
        if ticket is None:
            self._loop.call_later(_LOOK_AGAIN_S, self.woken)
            return False
        waited_s = now - waiting.sought_at
        self._choices.append(
            (waiting.id, waiting.reason, now, waited_s, index, standings, costs, ask)
        )
        waiting.send_to(chosen, ticket, now)
        return True

    def _let_wait(self, waiting: ProxiedRequest, *, front: bool) -> None:
        caller, priority = waiting.caller.name, waiting.priority
        try:
            self._queue.push(waiting, caller=caller, priority=priority, front=front)
        except QueueFull:
            crowding = self._queue.displace(caller=caller, priority=priority)
            self._refuse_wait(crowding or waiting)
            if crowding is None:
                return
            self._queue.push(waiting, caller=caller, priority=priority)
        self._count_waiting()
        self._cells.barrier()
        waiting.timer = self._loop.call_later(self._patience(waiting), self._time_out, waiting)

    def _refuse_wait(self, waiting: ProxiedRequest) -> None:
        self.leave(waiting)
        waiting.refuse(
            429,
            f"{self._queue.limit} requests are waiting already",
            type="rate_limit_error",
            code="queue_full",
        )

    def _patience(self, waiting: ProxiedRequest) -> float:
        """Return how long a request may wait from now on, in seconds.

        Where every replica has failed it, it can only be served by the next incarnation of one. A
        replica that just died is called ready until the next table, so that is waited for shortly.
        """
        failed = waiting.failed or ()
        coming = (one for one in self.upstreams.values() if one.row.state in _COMING)
        if any(one.row.state != READY or one.key not in failed for one in coming):
            return max(0.0, waiting.sought_at + self._queue_timeout - self._now())
        return min(_TABLE_S, self._queue_timeout)

    def _time_out(self, waiting: ProxiedRequest) -> None:
        self.leave(waiting)
        if waiting.failed and self.has_hope and self._patience(waiting) > _TABLE_S:
            self._let_wait(waiting, front=True)  # a replica that failed it is being restarted
            return
        waiting.give_up(
            f"no replica had room within {self._queue_timeout:g} s", code="queue_timeout"
        )


def _choice(chosen: _Chosen, policy: str) -> Choice:
    """Put a choice into words."""
    _, reason, at, waited_s, index, standings, costs, ask = chosen
    candidates = tuple(
        Candidate(
            replica=standing.name,
            cost=cost,
            outstanding=standing.outstanding,
            prefill_tokens=standing.prefill_tokens,
            decode_tokens=standing.decode_tokens,
            cached_tokens=matched,
        )
        for standing, cost, matched in zip(standings, costs, ask.matched, strict=True)
    )
    return Choice(
        replica=standings[index].name,
        policy=policy,
        reason=reason,
        at=time.time() - time.monotonic() + at,
        waited_s=waited_s,
        candidates=candidates,
    )
