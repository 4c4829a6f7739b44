"""The replicas as the table has them: connected, given their slots, and watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from replicore.errors import UpstreamError
from replicore.gateway.dispatch import Dispatcher
from replicore.gateway.observe.metrics import Meter
from replicore.gateway.routing.cells import Cells
from replicore.gateway.routing.ledger import Account
from replicore.gateway.routing.rates import FleetRates
from replicore.gateway.table import ReplicaRow, ReplicaTable, Settings
from replicore.gateway.upstream import Upstream

# How often slots are opened while there are some to open, seconds.
_PACE_S = 0.1

# Tokens of KV cache of an engine that does not tell its slots or their length.
_UNKNOWN_CACHE_TOKENS = 262_144

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Replicas:
    """Keeps the dispatcher's upstreams as the last table says.

    Attributes:
        caches: Whether one of them has a prefix cache.

    Args:
        spawn: Runs something in the background.
    """

    def __init__(
        self,
        settings: Settings,
        cells: Cells,
        dispatcher: Dispatcher,
        meter: Meter,
        spawn: Spawn,
    ) -> None:
        self.caches = False
        self._settings = settings
        self._cells = cells
        self._dispatcher = dispatcher
        self._meter = meter
        self._spawn = spawn
        self._table = ReplicaTable(model="")
        self._rates = FleetRates()
        self._loop = asyncio.get_running_loop()
        self._pacing: asyncio.TimerHandle | None = None

    def apply(self, table: ReplicaTable) -> None:
        """Take a new table: connect to new incarnations, let go of old ones."""
        self._table = table
        now = self._loop.time()
        old, fresh = self._dispatcher.upstreams, {}
        for index, row in enumerate(table.replicas):
            known = old.pop(row.name, None)
            if known is not None and known.is_same(row):
                known.update(row, now)
                fresh[row.name] = known
                continue
            fresh[row.name] = self._upstream(row, index, known, now)
            if known is not None:
                self._retire(known)
                self._meter.breaker(row.name, fresh[row.name].breaker.state)
        self._dispatcher.upstreams = fresh
        for gone in old.values():
            self._meter.forget(gone.row.name)
            self._retire(gone)
        self.caches = any(row.traits.prefix_cache for row in table.replicas)
        self._pace()
        self._dispatcher.reconsider()

    def look(self) -> None:
        """Look for hung ones, and for a slot that nobody told of; called every second."""
        self._dispatcher.woken()
        timeout = self._settings.stall_timeout
        if not timeout:
            return
        now = self._loop.time()
        for upstream in list(self._dispatcher.upstreams.values()):
            if upstream.watch(now, timeout):
                error = UpstreamError(
                    f"{upstream.row.name} has sent nothing for {upstream.stalled_s:.0f} s"
                )
                upstream.break_off(error, now)

    def close(self) -> None:
        """Let go of all of them."""
        if self._pacing is not None:
            self._pacing.cancel()
        for upstream in self._dispatcher.upstreams.values():
            self._retire(upstream)

    def _upstream(
        self, row: ReplicaRow, index: int, known: Upstream | None, now: float
    ) -> Upstream:
        account = Account(
            row.name,
            row.incarnation,
            row.slots,
            False,
            index=index,
            cells=self._cells,
            cache_tokens=self._cache_tokens(row),
            rates=self._rates.join(),
            requests=known.account.requests if known is not None else 0,
            errors=known.account.errors if known is not None else 0,
        )
        return Upstream(
            row,
            account,
            # Only where it was away: at the start of a deployment nobody is ahead of it.
            slow_start=self._settings.slow_start if known is not None else 0.0,
            now=now,
            breaker_changed=self._breaker_changed,
        )

    def _cache_tokens(self, row: ReplicaRow) -> int:
        if not row.traits.prefix_cache:
            return 0
        if row.slots is None or self._table.max_model_len is None:
            return _UNKNOWN_CACHE_TOKENS
        return row.slots * self._table.max_model_len

    def _retire(self, upstream: Upstream) -> None:
        upstream.retire()
        self._rates.leave(upstream.account.rates)
        self._spawn(upstream.pool.close())

    def _breaker_changed(self, upstream: Upstream) -> None:
        self._meter.breaker(upstream.row.name, upstream.breaker.state)
        self._pace_soon()

    def _pace(self) -> None:
        """Open slots of replicas that start slowly, or whose breaker may close again."""
        if self._pacing is not None:
            self._pacing.cancel()
            self._pacing = None
        now = self._loop.time()
        changing = [one.pace(now) for one in self._dispatcher.upstreams.values()]
        if any(changing):
            self._pace_soon()
        self._dispatcher.freed()

    def _pace_soon(self) -> None:
        if self._pacing is None:
            self._pacing = self._loop.call_later(_PACE_S, self._pace)
