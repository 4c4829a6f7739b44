"""A replica table for engines that somebody else runs: asked for once a second.

Used by ``replicore gateway --endpoint``; under ``replicore up`` the supervisor's table is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from replicore.errors import UpstreamError
from replicore.gateway.table import ReplicaRow, ReplicaTable
from replicore.http.client import fetch

_TIMEOUT = 5.0


class _Card(msgspec.Struct, frozen=True):
    """What ``/v1/models`` tells of a model; the lengths are vLLM's and the simulator's."""

    id: str
    owned_by: str = ""
    max_model_len: int | None = None
    simulated: bool = False


class _Cards(msgspec.Struct, frozen=True):
    data: list[_Card]


@dataclass(slots=True)
class _Endpoint:
    name: str
    url: str
    incarnation: int = 0
    card: _Card | None = None


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
        model = cards[0] if cards else _Card(id="")
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
            prompt_progress=card is not None and card.owned_by == "llamacpp",
        )


def _state(card: _Card | None, model: str) -> str:
    """Return a state's name; an endpoint that serves another model than the first is ``failed``."""
    if card is None:
        return "starting"
    return "ready" if card.id == model else "failed"


async def _ask(endpoint: _Endpoint) -> None:
    """Refresh ``endpoint.card``; a card after none is a new incarnation."""
    was_up = endpoint.card is not None
    endpoint.card = await _first_card(endpoint.url)
    if endpoint.card is not None and not was_up:
        endpoint.incarnation += 1


async def _first_card(url: str) -> _Card | None:
    try:
        reply = await fetch(url, "GET", "/v1/models", timeout=_TIMEOUT)
        cards = msgspec.json.decode(reply.body, type=_Cards).data
    except (UpstreamError, msgspec.DecodeError):
        return None
    return cards[0] if reply.status == 200 and cards else None
