"""HTML from Python values: everything is escaped that is not markup already. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Markup(str):
    """HTML that goes into a page as it is; a plain string is escaped instead."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str | int) -> Markup:
    """Return one element; in an attribute's name ``_`` is written ``-``, and dropped at its end.

    >>> tag("p", "1 < 2", class_="note", data_n=1)
    '<p class="note" data-n="1">1 &lt; 2</p>'
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    start = "".join((name, *(f' {key}="{escape(str(value))}"' for key, value in pairs)))
    return Markup(f"<{start}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Return the parts one after the other, each escaped unless it is markup."""
    return Markup("".join(p if isinstance(p, Markup) else escape(p, quote=False) for p in parts))


def html_table(
    head: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    total: Iterable[str] = (),
    texts: bool = False,
) -> Markup:
    """Return a table; the first column names its rows, the others are numbers.

    Args:
        total: A last row that sums up the others.
        texts: The other columns are long texts, which wrap.
    """
    heading = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    parts = [tag("thead", heading), tag("tbody", *map(_row, rows))]
    if cells := list(total):
        parts.append(tag("tfoot", _row(cells)))
    table = tag("table", *parts, class_="facts") if texts else tag("table", *parts)
    return tag("div", table, class_="scroll")


def _row(cells: Iterable[str]) -> Markup:
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in others))


def note_list(sentences: Iterable[str]) -> Markup:
    """Return sentences as a list."""
    return tag("ul", *(tag("li", sentence) for sentence in sentences), class_="notes")
