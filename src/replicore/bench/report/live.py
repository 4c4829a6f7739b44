"""A run while it runs, on stderr: a bar on a terminal, a line at each tenth elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from replicore.bench.client.closed_loop import Progress, Tick

_LINES = 10


@contextmanager
def shown_progress(title: str, *, console: Console | None = None) -> Iterator[Progress]:
    """Yield what :func:`~replicore.bench.runner.run_bench` tells its progress to.

    Args:
        title: What is being measured, one or two words.
        console: Where to; stderr by default.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(title, console).show
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, detail="warming up")

        def show(tick: Tick) -> None:
            bar.update(task, completed=tick.done, total=tick.total, detail=_detail(tick))

        yield show


class _Lines:
    """Prints a line at each tenth of the requests."""

    def __init__(self, title: str, console: Console) -> None:
        self._title = title
        self._console = console
        self._shown = 0

    def show(self, tick: Tick) -> None:
        tenths = tick.done * _LINES // tick.total
        if tenths == self._shown:
            return
        self._shown = tenths
        line = f"{self._title}: {tick.done}/{tick.total} requests, {_detail(tick)}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _detail(tick: Tick) -> str:
    if not tick.done:
        return "warming up" if tick.warming else "starting"
    errors = f", {tick.errors} errors" if tick.errors else ""
    return f"{tick.output_tokens} tokens{errors}"
