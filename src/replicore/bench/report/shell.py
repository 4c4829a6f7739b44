"""The page around tables and charts: one HTML file that needs no network.

plotly.js lies in the file once, compressed; a browser of 2023 or later unpacks it. Everything that
counts is also a table, so that the page says the same where scripts do not run.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import version
from itertools import groupby

import msgspec

from replicore.bench.report.figure import Figure
from replicore.bench.report.markup import Markup, joined, tag

# Nothing is loaded from anywhere, and nothing is sent: the browser sees to it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)

_NOTHING = Markup("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a page, with a heading.

    Attributes:
        body: Markup and charts in their order; charts that follow each other share rows.
        note: A sentence under the heading.
    """

    title: str
    body: Sequence[Markup | Figure]
    note: str = ""


def page_shell(
    title: str, sections: Iterable[Section], *, subtitle: str = "", lead: Markup = _NOTHING
) -> str:
    """Return a whole HTML page, light or dark as the reader's system is.

    Args:
        title: What was measured.
        subtitle: When and how, in a line under it.
        lead: What comes before the first section, such as a verdict.
    """
    head = joined(
        (
            Markup('<meta charset="utf-8">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Markup('<meta name="color-scheme" content="light dark">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
            tag("title", title),
            tag("style", Markup(_text("page.css"))),
        )
    )
    top = tag("header", tag("h1", title), *([tag("p", subtitle)] if subtitle else []))
    body = tag("main", top, lead, *map(_section, sections))
    page = tag("html", tag("head", head), tag("body", body, *_scripts()), lang="en")
    return f"<!doctype html>\n{page}\n"


def _section(section: Section) -> Markup:
    parts = [tag("h2", section.title)]
    if section.note:
        parts.append(tag("p", section.note, class_="note"))
    for charts, group in groupby(section.body, lambda item: isinstance(item, Figure)):
        drawn = [_figure(item) if isinstance(item, Figure) else item for item in group]
        parts += [tag("div", *drawn, class_="charts")] if charts else drawn
    return tag("section", *parts)


def _figure(figure: Figure) -> Markup:
    caption = [tag("strong", figure.title)]
    if figure.note:
        caption.append(tag("span", figure.note))
    return tag(
        "figure",
        tag("figcaption", *caption),
        tag("div", class_="plot", role="img", aria_label=figure.title, style=_height(figure)),
        _data("application/json", {"data": figure.traces, "layout": figure.layout}),
        class_="wide" if figure.wide else "narrow",
    )


def _height(figure: Figure) -> str:
    return f"height: {figure.height}px"


def _data(kind: str, value: object) -> Markup:
    # "</script>" within a string would end the element.
    text = msgspec.json.encode(value).decode().replace("<", "\\u003c")
    return tag("script", Markup(text), type=kind)


def _scripts() -> tuple[Markup, Markup]:
    source = f"plotly.js of plotly {version('plotly')}, MIT licence"
    packed = Markup(_plotly())
    return (
        tag("script", packed, type="application/gzip", id="plotly", data_source=source),
        tag("script", Markup(_text("page.js"))),
    )


@cache
def _plotly() -> str:
    """plotly.js, gzip in base64: a third of its 4.6 MB."""
    file = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    return b64encode(gzip.compress(file.read_bytes(), mtime=0)).decode()


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
