"""A run while it runs, on stderr: a view on a terminal, now and then a line elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from replicore.bench.client.tick import Progress, Tick
from replicore.bench.report.pulse import Pulse
from replicore.bench.report.screen import Screen
from replicore.bench.report.view import facts, view

_TENTHS = 10
_LINE_EVERY_S = 10.0
# Lines of the view that are not a replica's.
_OTHER_LINES = 7


@contextmanager
def shown_progress(title: str, *, console: Console | None = None) -> Iterator[Progress]:
    """Yield what a run tells its progress to.

    Args:
        title: What is being measured, one or two words.
        console: Where to; stderr by default.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(title, console).show
        return
    screen = Screen(console)
    try:
        yield _View(title, console, screen).show
    finally:
        screen.clear()


class _Lines:
    """Prints a line at each tenth of the requests, or every ten seconds of a run by time."""

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console
        self._pulse = Pulse()
        self._shown = 0

    def show(self, tick: Tick) -> None:
        self._pulse.add(tick)
        step = _step(tick)
        if step == self._shown:
            return
        self._shown = step
        line = f"{self._title}: {', '.join(facts(tick, self._pulse))}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _step(tick: Tick) -> int:
    if tick.total is None:
        return int(tick.elapsed_s // _LINE_EVERY_S)
    return tick.done * _TENTHS // tick.total


class _View:
    """Draws everything anew at each tick."""

    def __init__(self, title: str, console: Console, screen: Screen) -> None:
        self._title = title
        self._console = console
        self._screen = screen
        self._pulse = Pulse()

    def show(self, tick: Tick) -> None:
        self._pulse.add(tick)
        room = max(1, self._console.height - _OTHER_LINES)
        self._screen.draw(view(self._title, tick, self._pulse, most=room))
