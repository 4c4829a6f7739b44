"""A replica table for engines that somebody else runs: asked for once a second.

Used by ``replicore gateway --endpoint``; under ``replicore up`` the supervisor's table is used.
An endpoint that comes back after nobody listened there is a new incarnation: what was known of its
prefix cache is void, and requests that it failed may go there again. One that was only slow to
answer is not, for that would cut its streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from replicore.engines.engine import EngineTraits
from replicore.engines.known import traits_of
from replicore.errors import UpstreamError
from replicore.gateway.table import ReplicaRow, ReplicaTable
from replicore.http.client import Pool
from replicore.http.fetch import fetch
from replicore.openai import ModelCard, ModelList

_TIMEOUT = 5.0
# Failed polls in a row: a busy engine may not answer one in time, and its requests go on.
_GONE_AFTER = 2


@dataclass(slots=True)
class _Endpoint:
    """An endpoint, and what it told of itself.

    Attributes:
        card: None where it does not serve.
        misses: Failed polls in a row.
        incarnation: Counts how often it came back after nobody had listened there.
        is_away: Whether nobody listens.
    """

    name: str
    url: str
    card: ModelCard | None = None
    misses: int = 0
    incarnation: int = 1
    is_away: bool = False


class Discovery:
    """Keeps a table of ``endpoints`` up to date.

    Args:
        slots: Requests that each endpoint gets at once; None for any number.
    """

    def __init__(self, endpoints: Sequence[str], *, slots: int | None = None) -> None:
        self._endpoints = [_Endpoint(f"r{i}", url) for i, url in enumerate(endpoints)]
        self._slots = slots

    async def follow(self, apply: Callable[[ReplicaTable], None], *, interval: float = 1.0) -> None:
        """Call ``apply`` with every table that differs from the one before; never returns."""
        last: ReplicaTable | None = None
        while True:
            table = await self.look()
            if table != last:
                apply(table)
                last = table
            await asyncio.sleep(interval)

    async def look(self) -> ReplicaTable:
        """Ask every endpoint once."""
        async with asyncio.TaskGroup() as group:
            for endpoint in self._endpoints:
                group.create_task(_ask(endpoint))
        cards = [endpoint.card for endpoint in self._endpoints if endpoint.card is not None]
        model = cards[0] if cards else ModelCard(id="")
        return ReplicaTable(
            model=model.id,
            max_model_len=model.max_model_len,
            simulated=model.simulated,
            replicas=tuple(self._row(endpoint, model.id) for endpoint in self._endpoints),
        )

    def _row(self, endpoint: _Endpoint, model: str) -> ReplicaRow:
        card = endpoint.card
        return ReplicaRow(
            name=endpoint.name,
            endpoint=endpoint.url,
            state=_state(card, model),
            slots=self._slots,
            incarnation=endpoint.incarnation,
            traits=EngineTraits() if card is None else traits_of(card),
        )


def _state(card: ModelCard | None, model: str) -> str:
    """Return a state's name; an endpoint that serves another model than the first is ``failed``."""
    if card is None:
        return "starting"
    return "ready" if card.id == model else "failed"


async def _ask(endpoint: _Endpoint) -> None:
    """Refresh ``endpoint.card``: none after two failed polls in a row, or if nobody listens."""
    card = await _first_card(endpoint.url)
    endpoint.misses = 0 if card is not None else endpoint.misses + 1
    was_there = endpoint.card is not None
    if card is None and not endpoint.is_away and not await _listens(endpoint.url):
        endpoint.is_away = was_there
        endpoint.card = None
    elif card is not None or endpoint.misses >= _GONE_AFTER:
        endpoint.incarnation += endpoint.is_away and card is not None
        endpoint.is_away = endpoint.is_away and card is None
        endpoint.card = card


async def _first_card(url: str) -> ModelCard | None:
    try:
        reply = await fetch(url, "GET", "/v1/models", timeout=_TIMEOUT)
        cards = msgspec.json.decode(reply.body, type=ModelList).data
    except (UpstreamError, msgspec.DecodeError):
        return None
    return cards[0] if reply.status == 200 and cards else None


async def _listens(url: str) -> bool:
    """Whether a connection can be made; a busy engine's backlog may be full, so that it takes long.

    Asked for by itself, because a failed request does not tell a refused connection from another
    failure.
    """
    pool = Pool(url, connect_timeout=_TIMEOUT)
    try:
        await pool.open(1)
    except UpstreamError as error:
        return isinstance(error.__cause__, TimeoutError)
    finally:
        await pool.close()
    return True
