"""What people read: tables, notes and the comparison of layouts."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.record import BenchResult, Failure, FailureKind, RequestRecord
from replicore.bench.report.table import (
    LayoutRow,
    bench_table,
    best_layout,
    layouts_table,
    milliseconds,
    notes,
    percentile,
    slo_notes,
    verdict,
)
from replicore.bench.stats.summary import Distribution, summarize


def record(index: int, replica: str = "r0", **fields: Any) -> RequestRecord:
    """A request of 10 tokens in and 3 out: TTFT 250 ms, TPOT 50 ms, E2E 0.35 s."""
    start = float(index)
    values: dict[str, Any] = {
        "index": index,
        "endpoint": "http://127.0.0.1:8000",
        "replica": replica,
        "input_tokens_asked": 10,
        "output_tokens_asked": 3,
        "intended_s": start,
        "dispatched_s": start,
        "ended_s": start + 1,
        "chunk_times_s": (start + 0.25, start + 0.3, start + 0.35),
        "chunk_tokens": (1.0, 1.0, 1.0),
        "input_tokens": 10,
        "output_tokens": 3,
        "status": 200,
    }
    return RequestRecord(**(values | fields))


def run(*records: RequestRecord, **fields: Any) -> BenchResult:
    values: dict[str, Any] = {
        "endpoints": ("http://127.0.0.1:8000",),
        "model": "tiny",
        "workload": Workload(input_tokens=Lengths(10), output_tokens=Lengths(3, 1)),
        "requests": len(records),
        "load": Load(concurrency=1),
        "simulated": False,
        "exact_prompts": True,
        "started_at": "2026-11-23T08:00:00+00:00",
        "interrupted": False,
        "warmup": (),
        "records": records,
    }
    return BenchResult(**(values | fields))


def printed(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def told(result: BenchResult) -> str:
    return "\n".join(notes(result, summarize(result)))


FOUR = run(*(record(index, f"r{index % 2}") for index in range(4)))


def test_table_of_two_replicas_has_a_row_each_and_the_total() -> None:
    text = printed(bench_table(FOUR, summarize(FOUR)))

    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    rows = {row[0]: row[1:] for row in cells if row}
    # 3 tokens a second; with 4 values p99 is marked, p50 is not.
    assert rows["total"] == ["4", "100%", "0", "3.0", "250 / ~250", "50.0 / ~50.0", "0.35"]
    assert rows["r0"][:3] == ["2", "50%", "0"]
    assert rows["r1"][:3] == ["2", "50%", "0"]


def test_table_title_tells_what_was_asked() -> None:
    text = printed(bench_table(FOUR, summarize(FOUR)))

    assert "tiny: 4 requests, 1 at a time, 10 tokens in, 3±1 out" in text


def test_table_of_one_replica_has_only_the_total() -> None:
    single = run(record(0), record(1))

    assert "r0" not in printed(bench_table(single, summarize(single)))


def test_table_of_a_run_without_answers_has_dashes() -> None:
    dead = run(record(0, failure=Failure(FailureKind.CONNECT, "refused"), chunk_times_s=()))

    assert "- / -" in printed(bench_table(dead, summarize(dead)))


@pytest.mark.parametrize(
    ("n", "which", "text"), [(200, 99, "500"), (99, 99, "~500"), (2, 50, "100"), (1, 50, "~100")]
)
def test_percentile_that_the_values_do_not_support_is_marked(n: int, which: int, text: str) -> None:
    values = Distribution(n=n, p50=0.1, p99=0.5)

    assert percentile(values, which, milliseconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12.3"), (0.0999, "99.9"), (0.1, "100"), (12.3456, "12346")]
)
def test_milliseconds_have_three_digits_or_more(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_notes_of_a_clean_run_explain_window_and_marks() -> None:
    text = told(FOUR)

    assert "in flight" in text
    assert "busiest replica: 1.00 × the mean" in text
    assert "~ too few requests" in text
    assert "shorter" not in text


def test_notes_say_that_the_run_was_interrupted() -> None:
    assert told(replace(FOUR, interrupted=True, requests=9)).startswith(
        "interrupted: 4 of 9 requests are over"
    )


def test_notes_count_errors_with_their_text_most_frequent_first() -> None:
    busy = Failure(FailureKind.HTTP, "status 503: busy")
    cut = Failure(FailureKind.CUT, "no [DONE]")
    failures = [record(0, failure=cut)] + [record(i, status=503, failure=busy) for i in (1, 2)]
    found = notes(run(*failures), summarize(run(*failures)))

    assert found[:2] == ["2 × http_503: status 503: busy", "1 × cut: no [DONE]"]


def test_simulated_run_says_so_in_title_and_notes() -> None:
    result = replace(FOUR, simulated=True)

    assert "tiny (simulated): 4 requests" in printed(bench_table(result, summarize(result)))
    assert "simulated: these numbers are of no real engine" in told(result)


def test_notes_say_that_prompts_are_text() -> None:
    text = told(replace(run(record(0, input_tokens=12)), exact_prompts=False))

    assert "prompts are text, not token ids: 12 input tokens, 10 asked" in text


def test_notes_say_that_the_server_counts_other_input_lengths() -> None:
    assert "other input lengths" in told(run(record(0, input_tokens=11)))


def test_notes_say_that_answers_were_shorter_than_asked() -> None:
    assert "shorter than asked: 2 tokens of 3" in told(run(record(0, output_tokens=2)))


def test_notes_say_that_a_prefix_cache_answered() -> None:
    assert "a prefix cache held 40% of the input tokens" in told(run(record(0, cached_tokens=4)))


def layout(name: str, rate: float, errors: int = 0) -> LayoutRow:
    summary = summarize(FOUR)
    total = replace(summary.total, output_tokens_per_s=rate, errors=errors)
    return LayoutRow(name, replace(summary, total=total))


def test_layouts_table_names_the_better_layout_and_by_how_much() -> None:
    text = printed(layouts_table([layout("1 x 2 cores", 80.0), layout("2 x 1 core", 100.0)]))

    assert "better: 2 x 1 core, with 1.25 × the output tok/s of 1 x 2 cores" in text
    assert "80.0" in text
    assert "~ too few requests" in text


def test_layout_with_errors_is_not_better_than_one_without() -> None:
    rows = [layout("fast", 100.0, errors=1), layout("clean", 50.0)]

    assert verdict(rows) == "better: clean, with 0.50 × the output tok/s of fast"


def test_layout_that_answered_nothing_is_not_compared() -> None:
    assert verdict([layout("a", 0.0), layout("b", 5.0)]) == "better: b"
    assert best_layout([layout("a", 0.0)]) is None
    assert verdict([]) == "no layout answered"


def test_slo_notes_tell_limits_met_and_missed_and_the_share() -> None:
    result = run(record(0), record(1))
    summary = summarize(result)
    p99 = summary.total.ttft_s.p99
    assert p99 is not None

    met = slo_notes(result, summary, ttft_p99_s=p99, tpot_p99_s=None)
    missed = slo_notes(result, summary, ttft_p99_s=p99 / 2, tpot_p99_s=None)

    assert met[0].endswith("was asked: met")
    assert met[1] == "slo: 100.0% of the requests were within it, failed ones not"
    assert missed[0].endswith("was asked: missed")
    assert slo_notes(result, summary, ttft_p99_s=None, tpot_p99_s=None) == []
