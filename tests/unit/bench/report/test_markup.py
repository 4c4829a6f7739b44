"""HTML from values: what is text stays text."""

from __future__ import annotations

from replicore.bench.report.markup import Markup, html_table, joined, note_list, tag


def test_text_within_a_tag_is_escaped() -> None:
    assert tag("p", "<script>&") == "<p>&lt;script&gt;&amp;</p>"


def test_markup_within_a_tag_is_left_as_it_is() -> None:
    assert tag("p", tag("b", "1 < 2"), " yes") == "<p><b>1 &lt; 2</b> yes</p>"


def test_text_made_from_markup_is_text_again() -> None:
    assert tag("p", f"{tag('b', 'x')}") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"


def test_attributes_are_escaped_and_their_names_written_as_in_html() -> None:
    assert tag("a", class_="x", data_n=1, title='"<') == (
        '<a class="x" data-n="1" title="&quot;&lt;"></a>'
    )


def test_joined_parts_are_markup() -> None:
    assert isinstance(joined(["<", Markup("<br>")]), Markup)
    assert joined(["<", Markup("<br>")]) == "&lt;<br>"


def test_table_names_its_rows_and_columns_for_screen_readers() -> None:
    table = html_table(("replica", "n"), [("r0", "1")], total=("all", "1"))

    assert '<th scope="col">n</th>' in table
    assert '<tbody><tr><th scope="row">r0</th><td>1</td></tr></tbody>' in table
    assert '<tfoot><tr><th scope="row">all</th><td>1</td></tr></tfoot>' in table


def test_table_without_a_total_has_no_foot() -> None:
    assert "tfoot" not in html_table(("a",), [("x",)])


def test_notes_are_text() -> None:
    assert note_list(["<b>"]) == '<ul class="notes"><li>&lt;b&gt;</li></ul>'
