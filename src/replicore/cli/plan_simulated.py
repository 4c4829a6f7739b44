"""Simulated layouts on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from replicore.cli.console import report_console
from replicore.planner.advice import told_s
from replicore.planner.finalists import Finalist
from replicore.planner.simulate.summary import Spread


def print_finalists(found: Sequence[Finalist]) -> None:
    """Print percentiles of each layout, and how much of its time a replica works."""
    screen = report_console()
    screen.print(Text("\nsimulated, by the gateway's own routing", style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("layout", no_wrap=True)
    for name in (
        "requests",
        "output tok/s",
        "TTFT\np50 / p99",
        "TPOT\np50 / p99",
        "within\nlimits",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for finalist in found:
        table.add_row(*_cells(finalist))
    screen.print(table)


def _cells(found: Finalist) -> Iterator[str]:
    summary = found.summary
    yield found.outcome.size
    yield str(found.requests)
    yield f"{summary.output_tokens_per_s:,.0f}"
    yield _median_and_p99(summary.ttft)
    yield _median_and_p99(summary.tpot)
    yield f"{100 * summary.met:.0f} %"


def _median_and_p99(times: Spread) -> str:
    if times.p50 is None or times.p99 is None:
        return ""
    return f"{told_s(times.p50)} / {told_s(times.p99)}"
