"""The life of ``replicore up`` once its layout is chosen: show, announce, wait, stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live

from replicore.cli.deployment_view import describe, units_table
from replicore.cli.pipes import discard
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
    """Run the deployment until somebody stops it; return whether Ctrl-C did before it was ready.

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
    signals = StopSignals(supervisor)
    try:
        await supervisor.start()
        was_ready = await _until_stopped(supervisor, view, announce)
        return signals.first is signal.SIGINT and not was_ready
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


class Stoppable(Protocol):
    """What a signal stops."""

    def ask_to_stop(self) -> None: ...

    def kill(self) -> None:
        """Make the stop a short one."""
        ...


class StopSignals:
    """Stops what is served at the first signal, and kills it at the second.

    Attributes:
        first: None before there was one.
    """

    def __init__(self, served: Stoppable) -> None:
        self.first: signal.Signals | None = None
        self._served = served
        self._loop = asyncio.get_running_loop()
        self._first_at = 0.0
        for number in _STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._take, number)

    def _take(self, number: signal.Signals) -> None:
        now = self._loop.time()
        if self.first is None:
            self.first, self._first_at = number, now
            self._served.ask_to_stop()
        elif now - self._first_at > _SAME_SIGNAL_S:
            self._served.kill()


class _Stderr(Console):
    """Stderr, which may go away: a deployment outlives the terminal or pipe that shows it."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Show nothing any more; rich itself would end the process."""
        self.quiet = True
        discard(sys.stderr)  # at exit Python tries once more, and a failure changes the exit code

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Take any other failure to write, such as the EIO of a closed terminal, like that too."""
        try:
            yield
        except OSError:
            self.on_broken_pipe()


class _LineView:
    """One line on stderr for each change."""

    def __init__(self) -> None:
        self.console = _Stderr()
        self._has_been_ready = False

    def change(self, unit: UnitStatus) -> None:
        if unit.state in _GIVEN_UP and not self._has_been_ready:
            return  # `up` ends over it, with an error that says all of it
        line = describe(unit)
        if line is not None:
            with self.console.attended():
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
        self._live = self._new_live()
        self._start()

    def change(self, unit: UnitStatus) -> None:
        if unit.problem is not None and unit.state in {"backoff", *_GIVEN_UP}:
            super().change(unit)
        self._units[unit.name] = unit
        self._draw()

    async def refresh_forever(self, supervisor: Supervisor) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            for unit in (*supervisor.gateways, *supervisor.replicas):
                self._units[unit.name] = unit
            self._draw()

    def announce(self, print_lines: Callable[[], None]) -> None:
        self._live.transient = True
        self.end()
        super().announce(print_lines)
        # A new one: the old one would move up by its height, over what was just printed.
        self._live = self._new_live()
        self._start()
        self._draw()

    def end(self) -> None:
        if self.console.quiet:
            return  # the terminal is gone; rich cannot stop what may have failed half way to start
        with self.console.attended():
            self._live.stop()

    def _new_live(self) -> Live:
        # Drawn by this thread only: there is no other one in a process that forks.
        return Live(console=self.console, auto_refresh=False, redirect_stdout=False)

    def _start(self) -> None:
        with self.console.attended():
            self._live.start()

    def _draw(self) -> None:
        with self.console.attended():
            self._live.update(units_table(self._units.values()), refresh=True)
