"""A comparison on the terminal: the runs, and a table for each against the first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from replicore.bench.compare.comparison import Comparison, Pair
from replicore.bench.compare.words import (
    FIELD_HEAD,
    NUMBER_HEAD,
    Footnotes,
    conclusion,
    condition_rows,
    field_rows,
    fields_differ,
    heads,
    number_rows,
    run_notes,
    run_titles,
    sentences,
)

_STYLES = {"good": "green", "bad": "red"}
_LEFT = {0, 3, 6}


def rendered(comparison: Comparison) -> Iterator[RenderableType]:
    """Return what to print, in its order."""
    notes = Footnotes()
    yield _runs(comparison)
    yield from map(Text, run_notes(comparison))
    for pair in comparison.pairs:
        yield ""
        yield _numbers(pair, notes)
        if fields_differ(pair):
            yield _fields(pair, notes)
        yield from map(Text, sentences(pair))
        yield Text(conclusion(pair), style="bold")
    yield from map(Text, notes)


def _runs(comparison: Comparison) -> Table:
    table = Table()
    for head in ("", *run_titles(comparison)):
        table.add_column(Text(head))
    for row in condition_rows(comparison):
        table.add_row(*map(Text, row))
    return table


def _numbers(pair: Pair, notes: Footnotes) -> Table:
    table = _titled(f"{pair.names[1]} against {pair.names[0]}")
    for place, head in enumerate(heads(NUMBER_HEAD, pair)):
        table.add_column(head, justify="left" if place in _LEFT else "right")
    for row in number_rows(pair, notes):
        table.add_row(*map(Text, row.cells), style=_STYLES.get(row.tone, ""))
    return table


def _fields(pair: Pair, notes: Footnotes) -> Table:
    table = _titled("fields")
    for head in heads(FIELD_HEAD, pair):
        table.add_column(head, overflow="fold")
    for row in field_rows(pair, notes):
        table.add_row(*map(Text, row))
    return table


def _titled(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", title_style="bold")
