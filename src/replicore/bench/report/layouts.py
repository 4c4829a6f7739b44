"""Layouts that were measured under one workload, side by side on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from replicore.bench.report.words import REFUSED, median_and_p99, milliseconds, optional, rate
from replicore.bench.stats.summary import Summary

# Two runs of one layout on a busy machine differ by up to this; measured with the demo.
_CLEAR_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class LayoutRow:
    """One measured layout.

    Attributes:
        layout: Its name for people, such as ``2 x 1 core``.
    """

    layout: str
    summary: Summary


def layouts_table(rows: Sequence[LayoutRow]) -> Table:
    """Compare layouts under one workload; the caption names the better one."""
    table = Table(caption=_caption(rows), caption_justify="left", caption_style="")
    table.add_column("layout")
    for name in ("output tok/s", "TTFT ms\np50 / p99", "TPOT ms\nmean", "requests", "errors"):
        table.add_column(name, justify="right")
    for row in rows:
        total = row.summary.total
        table.add_row(
            Text(row.layout),
            rate(total.output_tokens_per_s),
            median_and_p99(total.ttft_s, milliseconds),
            optional(total.tpot_s.mean, milliseconds),
            str(total.requests),
            str(total.errors),
        )
    return table


def _caption(rows: Sequence[LayoutRow]) -> Text:
    caption = Text(verdict(rows), style="bold")
    if any(row.summary.total.ttft_s.p99 is None for row in rows):
        caption.append(f"\n{REFUSED}", style="not bold")
    return caption


def best_layout(rows: Sequence[LayoutRow]) -> LayoutRow | None:
    """Return the layout with the highest output rate among those with the fewest errors."""
    measured = [row for row in rows if _rate(row)]
    if not measured:
        return None
    return min(measured, key=lambda row: (row.summary.total.errors, -_rate(row)))


def verdict(rows: Sequence[LayoutRow]) -> str:
    """Return one sentence that names the better layout, and by how much."""
    best = best_layout(rows)
    if best is None:
        return "no layout answered"
    second = best_layout([row for row in rows if row is not best])
    if second is None:
        return f"better: {best.layout}"
    ratio = _rate(best) / _rate(second)
    said = f"better: {best.layout}, with {ratio:.2f} × the output tok/s of {second.layout}"
    return f"{said}; one run each, so that may be noise" if 1 <= ratio < _CLEAR_RATIO else said


def _rate(row: LayoutRow) -> float:
    found = row.summary.total.output_tokens_per_s
    return 0.0 if found is None else found.value
