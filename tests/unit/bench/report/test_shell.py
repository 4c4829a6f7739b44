"""The page around everything: whole, self-contained, and safe."""

from __future__ import annotations

import gzip
import re
from base64 import b64decode

import msgspec
from plotly.offline import get_plotlyjs

from replicore.bench.report.figure import Axis, Figure, figure, line
from replicore.bench.report.markup import tag
from replicore.bench.report.shell import Section, page_shell


def chart(title: str = "chart", *, wide: bool = False) -> Figure:
    x, y = Axis(title="x"), Axis(title="y")
    return figure(title, [line("</script><b>", [1, 2], [3, None])], x=x, y=y, wide=wide)


def page(*body: Figure | str) -> str:
    items = [item if isinstance(item, Figure) else tag("p", item) for item in body]
    return page_shell("a <title>", [Section(title="part", body=items, note="note")])


def test_page_is_one_document_with_its_title_as_text() -> None:
    text = page()

    assert text.startswith("<!doctype html>\n<html")
    assert text.count("<h1>a &lt;title&gt;</h1>") == 1
    assert '<h2>part</h2><p class="note">note</p>' in text


def test_page_loads_nothing_from_anywhere() -> None:
    text = page(chart())

    assert "default-src 'none'" in text
    assert re.findall(r'(?:src|href)="', text) == []


def test_plotly_is_in_the_page_once_and_whole() -> None:
    packed = re.findall(r'<script type="application/gzip" id="plotly"[^>]*>([^<]*)<', page(chart()))

    assert len(packed) == 1
    assert gzip.decompress(b64decode(packed[0])).decode() == get_plotlyjs()


def test_page_is_the_same_each_time() -> None:
    assert page(chart()) == page(chart())


def test_charts_data_cannot_end_its_script() -> None:
    data = re.findall(r'<script type="application/json">(.*?)</script>', page(chart()))

    assert len(data) == 1
    trace = msgspec.json.decode(data[0])["data"][0]
    assert trace["y"] == [3.0, None]
    assert "</script>" not in data[0]


def test_charts_that_follow_each_other_share_rows_in_the_order_given() -> None:
    text = page(chart("one"), chart("two"), "between", chart("three", wide=True))
    marks = re.findall(r'<div class="charts">|<strong>\w+</strong>|<p>between</p>', text)

    assert [re.sub(r"<.*?>", "", mark) for mark in marks] == [
        *("", "one", "two"),
        "between",
        *("", "three"),
    ]
    assert '<figure class="wide">' in text


def test_chart_has_a_name_for_who_cannot_see_it() -> None:
    assert 'role="img" aria-label="chart"' in page(chart())
