"""A sweep as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from replicore.bench.report.words import (
    decimal,
    milliseconds,
    percent,
    quantile,
    rate,
    rate_span,
)
from replicore.bench.stats.summary import Distribution, Quantile
from replicore.bench.sweep.cells import Cell
from replicore.bench.sweep.findings import Findings
from replicore.bench.sweep.ranking import Versus, is_winner
from replicore.bench.sweep.said import confidence, efficiency

FRONT = "◆"


def cells_table(found: Findings) -> Table:
    """Return a row for each layout and load; the winner's is bold."""
    table = Table(caption=f"{FRONT} no other has both more output tok/s and a lower TTFT p50")
    table.caption_justify = "left"
    table.add_column("layout")
    for name in ("in flight", "output tok/s", "TTFT ms\np50 / p99", "TPOT ms\np50 / p99"):
        table.add_column(name, justify="right")
    for name in ("within\nobjectives", "errors", "runs", "front"):
        table.add_column(name, justify="right")
    layout = ""
    for cell in found.cells:
        if layout not in ("", cell.layout):
            table.add_section()
        layout = cell.layout
        table.add_row(*_cells(cell, found), style=_style(cell, found))
    return table


def _cells(cell: Cell, found: Findings) -> Iterable[Text]:
    yield Text(f"{cell.layout} (alone)" if cell.baseline else cell.layout)
    yield Text(str(cell.concurrency))
    yield _with_span(rate(cell.output_tokens_per_s), rate_span(cell.output_tokens_per_s))
    yield Text(median_and_p99(cell.ttft_p50, cell.ttft_s))
    yield Text(median_and_p99(cell.tpot_p50, cell.tpot_s))
    yield Text(within(cell), style="" if cell.meets else "red")
    yield Text(str(cell.errors), style="red" if cell.errors else "")
    yield Text(str(cell.runs))
    yield Text(FRONT if cell in found.front else "")


def median_and_p99(median: Quantile, values: Distribution) -> str:
    """Return both in milliseconds."""
    return f"{quantile(median, milliseconds)} / {quantile(values.at(0.99), milliseconds)}"


def within(cell: Cell) -> str:
    """Return the smallest share of requests that were within an objective."""
    return percent(min(one.share for one in cell.attained))


def _style(cell: Cell, found: Findings) -> str:
    if cell.baseline:
        return "dim"
    return "bold" if is_winner(cell, found.winner) else ""


def _with_span(value: str, interval: str) -> Text:
    text = Text(value)
    return text.append(f"\n{interval}", style="dim not bold") if interval else text


def versus_table(found: Findings) -> Table | None:
    """Return the winner against every other layout's best; None where there is no other."""
    if found.winner is None or not found.winner.others:
        return None
    table = Table(title=f"output tok/s of {found.winner.layout} over those of")
    table.title_justify = "left"
    table.add_column("layout")
    for name in ("in flight", "ratio", "95 % interval", "better with", "p"):
        table.add_column(name, justify="right")
    for other in found.winner.others:
        table.add_row(*versus_cells(other))
    return table


def versus_cells(other: Versus) -> list[str]:
    """Return layout, load, ratio, interval, probability and p-value."""
    cells = [other.layout, str(other.concurrency), f"{other.value:.2f}"]
    if other.ratio is None or other.p_value is None:
        return [*cells, "-", "-", "-"]
    low, high = other.ratio.low, other.ratio.high
    return [
        *cells,
        f"{low:.2f}–{high:.2f}",
        confidence(other.ratio.improvement),
        decimal(other.p_value),
    ]


def scaling_table(found: Findings) -> Table | None:
    """Return how several replicas compare with one alone; None where nothing was measured."""
    if not found.scalings:
        return None
    table = Table(caption="output tok/s over those of one replica alone, times their number")
    table.caption_justify = "left"
    table.add_column("layout")
    for name in ("in flight", "one alone", "in flight", "scaling efficiency"):
        table.add_column(name, justify="right")
    for one in found.scalings:
        alone = (one.alone, str(one.alone_concurrency))
        table.add_row(one.layout, str(one.concurrency), *alone, efficiency(one))
    return table
