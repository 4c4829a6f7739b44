"""A compile while it runs, on stderr: a moving line on a terminal, one for each stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from replicore.deploy.making import Watch

_LONGEST_LINE = 80


@contextmanager
def shown_compile(
    console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Watch]:
    """Yield what a compile tells how it goes on.

    Args:
        console: Where it is shown; None takes stderr.
    """
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield _Lines(console, clock)
        return
    columns = (
        SpinnerColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[last]}", markup=False, style="dim"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Moving(console, clock, progress)


class _Lines:
    """A line for each stage."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._began = clock()

    def waiting(self, holders: str) -> None:
        self._print(f"{holders} makes the same artefact; waiting for it")

    def stage(self, label: str, number: int, total: int) -> None:
        after = self._clock() - self._began
        self._print(f"compile: {label} ({number} of {total}), after {after:.0f} s")

    def line(self, text: str) -> None:
        """A log has thousands of them."""

    def again(self, problem: str) -> None:
        self._print(f"{problem}\ncompile: once more, as this failure comes and goes")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)


class _Moving(_Lines):
    """What it does now, for how long, and the last line that it printed."""

    def __init__(self, console: Console, clock: Callable[[], float], progress: Progress) -> None:
        super().__init__(console, clock)
        self._progress = progress
        self._task = progress.add_task("compiling", total=None, last="")

    def stage(self, label: str, number: int, total: int) -> None:
        super().stage(label, number, total)
        self._progress.update(self._task, description=f"{label} ({number} of {total})")

    def line(self, text: str) -> None:
        self._progress.update(self._task, last=text.strip()[:_LONGEST_LINE])
