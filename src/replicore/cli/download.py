"""Downloads while they run, on stderr: a bar on a terminal, one line each elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

from replicore.models.progress import Progress


@contextmanager
def shown_download() -> Iterator[Progress]:
    """Yield what ``prepare`` tells its progress to."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield _Bar(bars)


class _Bar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, description: str, total_bytes: int | None) -> None:
        self._task = self._bars.add_task(description, total=total_bytes)

    def advance(self, n: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, n)

    def done(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, description: str, total_bytes: int | None) -> None:
        self._console.print(description, markup=False)

    def advance(self, n: int) -> None:
        pass

    def done(self) -> None:
        pass
