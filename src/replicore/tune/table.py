"""The runs of a tuning as a table on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from replicore.bench.report.words import decimal, milliseconds, optional
from replicore.bench.sweep.table import within
from replicore.planner.plan import Forecast
from replicore.tune.said import error_of
from replicore.tune.tuned import Trial, Tuned


def trials_table(tuned: Tuned) -> Table:
    """Return a row for each run; that of the layout to use is bold."""
    table = Table(caption="predicted → measured (error)")
    table.caption_justify = "left"
    table.add_column("run", justify="right")
    table.add_column("layout")
    for name in ("output tok/s", "TTFT ms, mean", "TPOT ms, mean", "within\nobjectives"):
        table.add_column(name, justify="right")
    best = None if tuned.belief is None else tuned.belief.proven
    for number, trial in enumerate(tuned.trials, start=1):
        is_best = best is not None and best.size == trial.cell.layout
        table.add_row(*_cells(number, trial), style="bold" if is_best else "")
    return table


def _cells(number: int, trial: Trial) -> Iterable[Text]:
    cell, service = trial.cell, trial.predicted.service
    yield Text(str(number))
    yield Text(f"{cell.layout} at {cell.concurrency}")
    yield Text(_pair(cell.rate, service.tokens_per_s, thousandths=False))
    yield Text(_pair(cell.ttft_s.mean, service.ttft_s))
    yield Text(_pair(cell.tpot_s.mean, service.tpot_s))
    yield Text(within(cell), style="" if cell.meets else "red")


def _pair(value: float | None, forecast: Forecast | None, *, thousandths: bool = True) -> str:
    show = milliseconds if thousandths else decimal
    before = optional(None if forecast is None else forecast.value, show)
    error = error_of(value, forecast)
    off = "" if error is None else f" ({error:+.0%})"
    return f"{before} → {optional(value, show)}{off}"
