"""Artefacts as lines of text, one for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from replicore.artefacts.files import size_of
from replicore.artefacts.store import Entry
from replicore.deploy.room import readable

_DAY_S = 86_400.0
_SHOWN_DIGITS = 12
_HEADINGS = ("artefact", "state", "used", "size", "layout", "model")
_LAYOUT = {"layout.tp": "tp", "layout.batch_size": "batch", "layout.max_model_len": "length"}


def artefact_lines(entries: Iterable[Entry], *, now: float) -> Iterator[str]:
    """Yield the headings and a line for each artefact; ``now`` in seconds since the epoch."""
    rows = [_HEADINGS, *(_cells(entry, now) for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _cells(entry: Entry, now: float) -> tuple[str, ...]:
    return (
        entry.digest[:_SHOWN_DIGITS],
        entry.state.value,
        "-" if entry.used_at is None else _ago(now - entry.used_at),
        readable(size_of(entry.path)),
        _layout(entry),
        str(entry.fields.get("model.source", "-")),
    )


def _layout(entry: Entry) -> str:
    known = ((word, entry.fields.get(key)) for key, word in _LAYOUT.items())
    return ", ".join(f"{word} {value}" for word, value in known if value is not None) or "-"


def _ago(seconds: float) -> str:
    days = seconds / _DAY_S
    return "today" if days < 1 else f"{days:.0f} days ago"
