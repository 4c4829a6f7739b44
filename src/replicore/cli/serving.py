"""The life of ``replicore up`` once its layout is chosen: show, announce, wait, stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from replicore.cli.deployment_view import describe, units_table
from replicore.deploy.deployment import Deployment
from replicore.deploy.replica import GIVEN_UP
from replicore.deploy.state import DeploymentFolder
from replicore.deploy.status import UnitStatus
from replicore.deploy.supervisor import Supervisor

_REFRESH_S = 1.0
_GIVEN_UP = {state.value for state in GIVEN_UP}

# timeout(1) signals its child and then its child's group: that is one wish, not two.
_SAME_SIGNAL_S = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def serve(
    deployment: Deployment, folder: DeploymentFolder, *, live: bool, announce: Callable[[str], None]
) -> bool:
    """Run the deployment until somebody stops it; return whether it has been ready.

    The first signal stops it, the second one without grace.

    Args:
        live: Show a table on stderr; lines otherwise.
        announce: Called with the URL, once everything is ready.

    Raises:
        ReplicaError: A replica could not be made ready.
        ConfigError: The gateway's port is in use.
    """
    view = _LiveView() if live else _LineView()
    supervisor = Supervisor(deployment, folder, events=view.change)
    _stop_on_signals(supervisor)
    try:
        await supervisor.start()
        return await _until_stopped(supervisor, view, announce)
    finally:
        await supervisor.stop()
        view.end()


async def _until_stopped(
    supervisor: Supervisor, view: _LineView, announce: Callable[[str], None]
) -> bool:
    ready = asyncio.create_task(supervisor.wait_ready())
    stop = asyncio.create_task(supervisor.wait_stop_asked())
    refresh = asyncio.create_task(view.refresh_forever(supervisor))
    try:
        await asyncio.wait({ready, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await stop  # an exception, if it is not somebody's wish
            return False
        await ready
        view.announce(lambda: announce(supervisor.url))
        await stop
        return True
    finally:
        for task in (ready, stop, refresh):
            task.cancel()
        await asyncio.gather(ready, stop, refresh, return_exceptions=True)


def _stop_on_signals(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    asked_at: float | None = None

    def stop() -> None:
        nonlocal asked_at
        if asked_at is None:
            asked_at = loop.time()
            supervisor.ask_to_stop()
        elif loop.time() - asked_at > _SAME_SIGNAL_S:
            supervisor.kill()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)


class _LineView:
    """One line on stderr for each change."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._has_been_ready = False

    def change(self, unit: UnitStatus) -> None:
        if unit.state in _GIVEN_UP and not self._has_been_ready:
            return  # `up` ends over it, with an error that says all of it
        line = describe(unit)
        if line is not None:
            self.console.print(line, markup=False)

    async def refresh_forever(self, supervisor: Supervisor) -> None:
        """Show what changes with time only; lines have nothing of the kind."""

    def announce(self, print_lines: Callable[[], None]) -> None:
        """Let the news that all is ready be printed to the same terminal."""
        self._has_been_ready = True
        print_lines()

    def end(self) -> None:
        """Nothing more will be shown."""


class _LiveView(_LineView):
    """A table on stderr that is drawn anew, and lines above it for what went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self._units: dict[str, UnitStatus] = {}
        # Drawn by this thread only: there is no other one in a process that forks.
        self._live = Live(console=self.console, auto_refresh=False, redirect_stdout=False)
        self._live.start()

    def change(self, unit: UnitStatus) -> None:
        if unit.problem is not None and unit.state in {"backoff", *_GIVEN_UP}:
            super().change(unit)
        self._units[unit.name] = unit
        self._draw()

    async def refresh_forever(self, supervisor: Supervisor) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            for unit in (supervisor.gateway, *supervisor.replicas):
                self._units[unit.name] = unit
            self._draw()

    def announce(self, print_lines: Callable[[], None]) -> None:
        self._live.stop()
        super().announce(print_lines)
        self._live.start()

    def end(self) -> None:
        self._live.stop()

    def _draw(self) -> None:
        self._live.update(units_table(self._units.values()), refresh=True)
