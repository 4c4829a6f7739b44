"""Finds a replica for every request: now, when one has room, or never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from replicore.errors import ConfigError
from replicore.gateway.admission import FairQueue, QueueFull
from replicore.gateway.cells import Cells
from replicore.gateway.proxy import ProxiedRequest
from replicore.gateway.record import Candidate, Choice, Explanation
from replicore.gateway.routing import POLICIES, Ask, cheapest
from replicore.gateway.table import Settings
from replicore.gateway.upstream import Upstream

# Replicas in these states will serve again by themselves; requests wait for them.
_COMING = frozenset({"stopped", "starting", "ready", "draining", "condemned", "backoff"})

# Requests whose choice of replica can still be asked for.
_REMEMBERED = 1024

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
        self._queue_timeout = settings.queue_timeout
        self._queue: FairQueue[ProxiedRequest] = FairQueue(settings.max_queue)
        self._waiting = 0
        self._cells = cells
        self._wake = wake
        self._turn = 0
        self._remembered: dict[str, list[_Chosen]] = {}
        self._loop = asyncio.get_running_loop()

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
        if not self._waiting and self._place(waiting):
            return
        if self.has_hope:
            self._let_wait(waiting, front=front)
            if self._waiting > 1:
                self.freed()
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
        """Give free slots to those who wait; what nobody here wants is another worker's."""
        while self._waiting and self._has_room:
            waiting = self._queue.take(self._fits)
            if waiting is None:
                break
            self.leave(waiting)
            if not self._place(waiting):
                # Another worker was faster.
                self._let_wait(waiting, front=True)
                break
        if self._cells.workers > 1 and self._has_room:
            for worker in self._cells.others_waiting():
                self._wake(worker)

    def has_other(self, waiting: ProxiedRequest) -> bool:
        """Whether a replica is ready that has not failed the request and does not serve it now."""
        return any(
            one.account.ready and one.key not in waiting.failed and waiting not in one.serving
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
        chosen = self._remembered.get(request_id)
        if not chosen:
            return None
        first = chosen[0]
        return Explanation(
            request_id=request_id,
            prompt_tokens=first.ask.prompt_tokens,
            output_tokens=first.ask.output_tokens,
            choices=[one.choice(self._policy_name) for one in chosen],
        )

    # inside

    def _count_waiting(self) -> None:
        self._waiting = len(self._queue)
        self._cells.waiting = float(self._waiting)

    @property
    def _has_room(self) -> bool:
        return any(one.account.has_room for one in self.upstreams.values())

    def _fits(self, waiting: ProxiedRequest) -> bool:
        return any(True for _ in self._able(waiting))

    def _able(self, waiting: ProxiedRequest) -> Iterator[Upstream]:
        failed = waiting.failed
        for one in self.upstreams.values():
            if one.account.has_room and (not failed or one.key not in failed):
                yield one

    def _place(self, waiting: ProxiedRequest) -> bool:
        """Send the request to the best replica with room; return whether there was one."""
        failed = waiting.failed
        able = [
            one
            for one in self.upstreams.values()
            if one.account.has_room and (not failed or one.key not in failed)
        ]
        if not able:
            return False
        now = self._loop.time()
        accounts = [one.account for one in able]
        hashes = waiting.hashes
        matched = []
        for account in accounts:
            account.settle(now)
            matched.append(account.matched(hashes))
        self._turn += 1
        ask = Ask(
            waiting.prompt_tokens, waiting.output_tokens, matched, waiting.session, self._turn
        )
        costs = self._policy(accounts, ask)
        index = cheapest(costs, self._turn)
        ticket = accounts[index].try_open(
            waiting.prompt_tokens,
            waiting.output_tokens,
            hashes,
            now,
            stream=waiting.streaming,
        )
        if ticket is None:
            self._loop.call_later(_LOOK_AGAIN_S, self.freed)
            return False
        self._remember(waiting, _Chosen(able, costs, index, ask, waiting, now))
        waiting.send_to(able[index], ticket, now)
        return True

    def _remember(self, waiting: ProxiedRequest, chosen: _Chosen) -> None:
        remembered = self._remembered
        earlier = remembered.get(waiting.id)
        if earlier is not None and waiting.attempts:
            earlier.append(chosen)
            return
        remembered[waiting.id] = [chosen]
        if len(remembered) > _REMEMBERED:
            del remembered[next(iter(remembered))]

    def _let_wait(self, waiting: ProxiedRequest, *, front: bool) -> None:
        caller = waiting.caller
        try:
            self._queue.push(waiting, caller=caller.name, priority=waiting.priority, front=front)
        except QueueFull:
            waiting.refuse(
                429,
                f"{self._queue.limit} requests are waiting already",
                type="rate_limit_error",
                code="queue_full",
            )
            return
        self._count_waiting()
        waiting.timer = self._loop.call_later(self._queue_timeout, self._time_out, waiting)

    def _time_out(self, waiting: ProxiedRequest) -> None:
        self.leave(waiting)
        waiting.give_up(
            f"no replica had room within {self._queue_timeout:g} s", code="queue_timeout"
        )


class _Chosen:
    """One choice as it was made; put into words only when somebody asks."""

    __slots__ = ("ask", "at", "costs", "index", "loads", "names", "reason", "waited_s")

    def __init__(
        self,
        able: list[Upstream],
        costs: Sequence[float],
        index: int,
        ask: Ask,
        waiting: ProxiedRequest,
        now: float,
    ) -> None:
        self.names = [one.account.name for one in able]
        self.loads = [
            (one.account.outstanding, one.account.prefill_tokens, one.account.decode_tokens)
            for one in able
        ]
        self.costs = costs
        self.index = index
        self.ask = ask
        self.reason = waiting.reason
        self.waited_s = now - waiting.sought_at
        self.at = now

    def choice(self, policy: str) -> Choice:
        rows = zip(self.names, self.costs, self.loads, self.ask.matched, strict=True)
        return Choice(
            replica=self.names[self.index],
            policy=policy,
            reason=self.reason,
            at=time.time() - time.monotonic() + self.at,
            waited_s=self.waited_s,
            candidates=tuple(
                Candidate(
                    replica=name,
                    cost=cost,
                    outstanding=int(outstanding),
                    prefill_tokens=prefill,
                    decode_tokens=decode,
                    cached_tokens=cached,
                )
                for name, cost, (outstanding, prefill, decode), cached in rows
            ),
        )
