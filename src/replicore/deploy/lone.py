"""A front door alone, before engines that somebody else runs: workers are supervised, engines not.

The table of replicas comes from the engines themselves, which are asked what they serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from replicore.deploy.door import Door
from replicore.deploy.replica import State
from replicore.deploy.state import DeploymentFolder
from replicore.deploy.status import UnitStatus
from replicore.deploy.strays import become_subreaper
from replicore.deploy.unit import Unit
from replicore.gateway.discovery import Discovery
from replicore.gateway.table import ReplicaTable
from replicore.spec import Spec


class LoneGateway:
    """Runs the workers of a front door; :meth:`open` it, then :meth:`serve`.

    Attributes:
        door: The front door.

    Args:
        folder: For logs and sockets; the caller removes it.
        root: Of all deployments, to name the one that has the port.
        events: Called with every change of a worker.
        discovered: Called with every changed table.
    """

    def __init__(
        self,
        spec: Spec,
        folder: DeploymentFolder,
        *,
        root: Path,
        events: Callable[[UnitStatus], None],
        discovered: Callable[[ReplicaTable], None],
    ) -> None:
        self.door = Door(spec, folder, root=root, changed=self._changed)
        self._events = events
        self._discovered = discovered
        # The default of batch_size is a guess about engines that replicore did not start.
        slots = spec.layout.batch_size if "batch_size" in spec.layout.model_fields_set else None
        self._discovery = Discovery(spec.engine.remote.endpoints, slots=slots)
        self._enough_failures = spec.supervisor.max_failures
        self._stop_asked = asyncio.Event()
        self._ready = asyncio.Event()
        self._moved = asyncio.Event()

    @property
    def worker_names(self) -> tuple[str, ...]:
        return tuple(unit.name for unit in self.door.units)

    async def open(self) -> None:
        """Open the sockets; nothing is started yet.

        Raises:
            ConfigError: The gateway's address, or its admin port, cannot be listened on.
        """
        become_subreaper()
        await self.door.open()

    async def serve(self) -> None:
        """Serve until asked to stop; requests that are being served then finish.

        Raises:
            ReplicaError: A worker ends again and again and has never served.
        """
        try:
            await self._serve()
        finally:
            await self.door.close()

    def ask_to_stop(self) -> None:
        """Make :meth:`serve` end."""
        self._stop_asked.set()

    def kill(self) -> None:
        """Make the end a short one: no grace."""
        for unit in self.door.units:
            unit.kill()

    async def wait_ready(self) -> None:
        """Return once every worker serves."""
        await self._ready.wait()

    async def _serve(self) -> None:
        units = self.door.units
        for unit in units:
            unit.start()
        lives = [asyncio.create_task(unit.run()) for unit in units]
        follow = self._discovery.follow(self._apply)
        others = _tasks(follow, self._fail_if_hopeless(), self._stop_asked.wait())
        await asyncio.wait([*lives, *others], return_when=asyncio.FIRST_COMPLETED)
        for unit in units:
            unit.close()
        await asyncio.gather(*(unit.reach({State.STOPPED}) for unit in units))
        await _end([*others, *lives])

    def _apply(self, table: ReplicaTable) -> None:
        self.door.publish(table)
        self._discovered(table)

    def _changed(self, unit: Unit) -> None:
        self._events(unit.status())
        if all(one.state is State.READY for one in self.door.units):
            self._ready.set()
        self._moved.set()
        self._moved = asyncio.Event()

    async def _fail_if_hopeless(self) -> None:
        """Raise why a worker does not start; after all have served it is never a reason to end."""
        while True:
            for unit in self.door.units:
                has_failed = unit.status().failures >= self._enough_failures
                if has_failed and unit.error is not None and not self._ready.is_set():
                    raise unit.error
            await self._moved.wait()


def _tasks(*works: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(work) for work in works]


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel the tasks that still run, and raise what another one ended with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
