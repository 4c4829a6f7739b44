"""A comparison in words, and as the terminal's tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from replicore.bench.compare.comparison import Comparison, compare
from replicore.bench.compare.meaning import EVENTS_AS_TOKENS, STREAM_END, Metric
from replicore.bench.compare.measured import Conditions, Measured
from replicore.bench.compare.table import rendered
from replicore.bench.compare.words import (
    Footnotes,
    conclusion,
    condition_rows,
    fields_differ,
    load,
    number_rows,
    run_notes,
    sentences,
)
from tests.unit.bench.compare.runs import latencies, rate, reading, run

BASE = run({Metric.TTFT: reading(latencies(0.2)), Metric.OUTPUT_RATE: rate(10.0, 9.0, 11.0)})
FASTER = run(
    {Metric.TTFT: reading(latencies(0.1, seed=2)), Metric.OUTPUT_RATE: rate(30.0, 27.0, 33.0)}
)


def against(second: Measured) -> Comparison:
    return compare([BASE, second])


def cells(second: Measured) -> dict[str, tuple[str, ...]]:
    (pair,) = against(second).pairs
    return {row.cells[0]: row.cells[1:] for row in number_rows(pair, Footnotes())}


def printed(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=200)
    for part in rendered(comparison):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_clear_difference_is_better_or_worse() -> None:
    (pair,) = against(FASTER).pairs
    rows = {row.cells[0]: (row.cells[-1], row.tone) for row in number_rows(pair, Footnotes())}

    assert rows["TTFT ms p50"] == ("better", "good")
    assert rows["output tok/s, steady"] == ("better", "good")
    (reverse,) = compare([FASTER, BASE]).pairs
    assert {row.cells[-1] for row in number_rows(reverse, Footnotes())} == {"worse"}


def test_a_row_has_both_numbers_the_ratio_and_its_interval() -> None:
    found = cells(FASTER)["output tok/s, steady"]

    # The ends of a ratio are further off than those of either number.
    assert found == ("10.0 (9.00–11.0)", "30.0 (27.0–33.0)", "same", "3.00", "2.60–3.46", "better")


def test_a_narrow_interval_has_a_third_decimal() -> None:
    close = run({Metric.OUTPUT_RATE: rate(10.0, 9.995, 10.005)})
    (pair,) = compare([close, close]).pairs
    (row,) = number_rows(pair, Footnotes())

    assert row.cells[4:6] == ("1.000", "0.999–1.001")


def test_an_equal_run_has_no_clear_difference() -> None:
    assert cells(BASE)["TTFT ms mean"][-1] == "no clear difference"


def test_a_note_is_told_once() -> None:
    notes = Footnotes()

    assert [notes.mark(text) for text in ("one", "two", "one", None, "")] == [
        " [1]",
        " [2]",
        " [1]",
        "",
        "",
    ]
    assert list(notes) == ["[1] one", "[2] two"]


def test_fields_that_differ_have_a_mark_and_the_note_says_how() -> None:
    (pair,) = against(run({Metric.TTFT: reading(latencies(0.2), EVENTS_AS_TOKENS)})).pairs
    notes = Footnotes()
    rows = {row.cells[0]: row.cells for row in number_rows(pair, notes)}

    assert rows["TTFT ms p50"][3:] == ("no [1]", "-", "", "")
    assert next(iter(notes)) == f"[1] B {EVENTS_AS_TOKENS.says}"


def test_a_missing_number_is_a_dash() -> None:
    assert cells(run())["TTFT ms p50"] == (
        cells(BASE)["TTFT ms p50"][0],
        "-",
        "-",
        "-",
        "",
        "",
    )


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        (Conditions(closed=True, concurrency=8), "8 at a time"),
        (Conditions(closed=True), "-"),
        (Conditions(), "-"),
        (Conditions(closed=False), "all at once"),
        (Conditions(closed=False, rate_per_s=10.0), "10 a second"),
        (
            Conditions(closed=False, rate_per_s=2.5, arrivals="poisson", concurrency=9),
            "2.5 a second (poisson), at most 9 at a time",
        ),
        (Conditions(closed=False, arrivals="poisson:10"), "poisson:10"),
    ],
)
def test_loads_are_said_in_a_few_words(conditions: Conditions, text: str) -> None:
    assert load(conditions) == text


def test_conditions_that_no_file_tells_are_left_out() -> None:
    names = [row[0] for row in condition_rows(compare([run(), run(failed=3, succeeded=97)]))]

    assert names == ["tool", "model", "load", "requests"]


def test_failed_requests_and_simulators_are_told() -> None:
    found = compare([run(simulated=True), run(failed=3, succeeded=97)])
    rows = {row[0]: row[1:] for row in condition_rows(found)}

    assert rows["model"] == ("tiny (simulated)", "tiny")
    assert rows["requests"] == ("-", "97 and 3 failed")


def test_the_conclusion_names_what_is_better_and_worse() -> None:
    mixed = run({**FASTER.readings, Metric.OUTPUT_RATE: rate(5.0, 4.9, 5.1)})
    (pair,) = against(mixed).pairs

    assert conclusion(pair) == (
        "B against A: better in TTFT (mean, p50, p99); worse in output tok/s, steady"
    )


def test_the_conclusion_of_equal_runs_is_that_nothing_is_clear() -> None:
    (pair,) = against(BASE).pairs

    assert conclusion(pair) == "B against A: no clear difference"


def test_the_conclusion_without_ratios_says_so() -> None:
    (pair,) = against(run(BASE.readings, closed=False)).pairs

    assert conclusion(pair) == "B against A: no ratio with an interval can be told"


def test_sentences_begin_with_what_forbids_a_comparison() -> None:
    (pair,) = against(run(BASE.readings, closed=False, concurrency=4)).pairs

    found = sentences(pair)
    assert found[0].startswith("not compared: A is a closed loop and B is not")
    assert found[1] == "the concurrency differs: 8 in A, 4 in B"
    assert len(found) == 2


def test_sentences_say_whether_requests_are_paired() -> None:
    (unpaired,) = against(BASE).pairs
    values = reading(latencies(0.2, 100))
    same = run({Metric.TTFT: values}, workload="w", keys=range(100))
    (paired,) = compare([same, same]).pairs

    assert sentences(unpaired) == ["ratios take the requests of A and B for different ones"]
    assert sentences(paired) == ["ratios are of the same requests, one by one, in A and B"]


def test_notes_of_runs_carry_their_names() -> None:
    assert run_notes(compare([BASE, run(notes=["it was interrupted"])])) == [
        "B: it was interrupted"
    ]


def test_fields_of_one_tool_need_no_table() -> None:
    (same,) = against(BASE).pairs
    (other,) = against(run({Metric.TTFT: reading(latencies(0.2), STREAM_END)})).pairs

    assert not fields_differ(same)
    assert fields_differ(other)


def test_the_terminal_shows_runs_numbers_fields_and_notes() -> None:
    other = run({Metric.TTFT: reading(latencies(0.2), STREAM_END)}, notes=["a note"])
    text = printed(against(other))

    assert "A  run.json" in text
    assert "B: a note" in text
    assert "B against A" in text
    assert "t₁ − s" in text
    assert "nearly [1]" in text
    assert f"[1] B {STREAM_END.says}" in text
