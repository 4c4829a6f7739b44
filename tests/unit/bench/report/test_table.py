"""The tables on the terminal."""

from __future__ import annotations

import pytest

from replicore.bench.report.table import bench_table, latency_table, verdict_text
from replicore.bench.selfcheck.verdict import Kind, Verdict
from replicore.bench.stats.summary import Rate
from tests.unit.bench.report.runs import (
    NOTHING,
    VALID,
    cells,
    printed,
    record,
    row,
    run,
    summary,
    values,
)

TWO = summary(row(), row("r0", share=0.25, requests=50), row("r1", share=0.75, requests=150))


def test_table_of_two_replicas_has_a_row_each_and_the_total() -> None:
    rows = cells(printed(bench_table(run(record()), TWO)))

    assert rows["total"] == ["200", "100%", "0", "100", "250", "50.0", "0.350"]
    assert rows["r0"][:2] == ["50", "25%"]
    assert rows["r1"][:2] == ["150", "75%"]


def test_table_of_one_replica_has_only_the_total() -> None:
    one = summary(row(), row("r0"))

    assert "r0" not in printed(bench_table(run(record()), one))


def test_table_title_tells_what_was_asked_and_that_nothing_real_answered() -> None:
    text = printed(bench_table(run(record(), simulated=True), TWO))

    assert "tiny (simulated): 1 request, 1 at a time, 10 tokens in, 3±1 out" in text


def test_rate_has_its_interval_below() -> None:
    assert "90.0–110" in printed(bench_table(run(record()), TWO))


def test_table_of_a_run_without_answers_has_dashes() -> None:
    dead = row(ttft_s=NOTHING, output_tokens_per_s=None)

    rows = cells(printed(bench_table(run(record()), summary(dead))))

    assert rows["total"][3:5] == ["-", "-"]


def test_latency_table_has_intervals_and_how_much_the_values_are_worth() -> None:
    text = printed(latency_table(summary()))

    assert cells(text)["TTFT ms"] == ["250", "250", "-", "500", "200"]
    assert "225–275" in text
    assert "450–550" in text
    assert "100" in text


def test_latency_table_refuses_what_the_sample_cannot_carry() -> None:
    few = summary(row(ttft_s=values(0.25, None, n=20)))

    assert cells(printed(latency_table(few)))["TTFT ms"][3] == "≥400"


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit_a_narrow_terminal_without_losing_a_digit(width: int) -> None:
    slow = row(ttft_s=values(12.345, 98.765), output_tokens_per_s=Rate(value=12345, low=1, high=2))
    tables = bench_table(run(record()), summary(slow)), latency_table(summary(slow))

    text = printed(*tables, width=width)

    assert max(map(len, text.splitlines())) <= width
    assert "98,765" in text
    assert "…" not in text


def test_verdict_tells_its_kind_and_each_reason_on_a_line() -> None:
    verdict = Verdict(kind=Kind.CLIENT_BOUND, reasons=("too slow", "too late"), numbers={})

    assert verdict_text(verdict).plain == "CLIENT-BOUND: too slow\n  too late"


def test_verdict_is_coloured_by_how_bad_it_is() -> None:
    styles = [
        str(verdict_text(Verdict(kind=kind, reasons=(), numbers={})).style)
        for kind in (Kind.VALID, Kind.TOO_FEW_SAMPLES, Kind.OVERLOADED)
    ]

    assert styles == ["bold green", "bold yellow", "bold red"]
    assert verdict_text(VALID).plain.startswith("VALID: chunks were read")
