"""Runs under arrivals: which fell behind, and what the planner is asked of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.planner.openloop import lines, openloop_report
from benchmarks.planner.openloop_rows import answer, closed_runs, open_runs
from benchmarks.planner.rows import Row, read_rows, row_of
from replicore.planner.prediction.calibrate import uncalibrated

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "planner_rows.csv"
needs_rows = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="the published rows are not in ../shared/data"
)

VALUES = {
    "row_id": "C1",
    "hardware": "NVIDIA H100 SXM 80GB",
    "model": "meta-llama/Llama-3.1-8B",
    "engine": "vLLM",
    "load": "open-loop",
    "request_rate_rps": "2",
    "tp": "1",
    "input_len": "500",
    "output_len": "100",
    "out_tok_s": "200",
    "ttft_ms": "40",
    "tpot_ms": "8",
}


def row(**changes: str) -> Row:
    return row_of({**VALUES, **changes})


def test_a_run_that_gives_what_arrives_has_kept_up() -> None:
    (run,) = open_runs([row()])

    assert not run.saturated


def test_a_rate_beyond_the_most_that_was_given_has_fallen_behind() -> None:
    slow, fast = open_runs([row(), row(row_id="C2", request_rate_rps="9", out_tok_s="300")])

    assert [slow.saturated, fast.saturated] == [False, True]


def test_all_at_once_is_saturated() -> None:
    (run,) = open_runs([row(request_rate_rps="INF")])

    assert run.rate_per_s is None
    assert run.saturated


def test_what_the_log_tells_of_slots_and_blocks_is_taken() -> None:
    (run,) = open_runs([row(notes="max_num_seqs 128, KV blocks 1000 x16; TTFT p90 5 ms")])

    assert run.slots == 128
    assert run.case.replica.kv_tokens == 16_000


def test_rows_of_other_tables_and_batches_sent_at_once_are_left_out() -> None:
    rows = [row(row_id="A1"), row(row_id="K1", load="offline-all-at-once"), row(row_id="K2")]

    assert [run.id for run in open_runs(rows)] == ["K2"]


def test_copies_behind_one_address_share_the_rate() -> None:
    one, two = open_runs([row(), row(row_id="C2", dp="2", request_rate_rps="4", out_tok_s="400")])

    alone, shared = (answer(run, uncalibrated()) for run in (one, two))

    assert shared.utilisation == pytest.approx(alone.utilisation)
    assert shared.tokens_per_s.value == pytest.approx(2 * alone.tokens_per_s.value)


def test_too_high_a_rate_is_refused_and_a_low_one_told() -> None:
    slow, fast = open_runs([row(), row(row_id="C2", request_rate_rps="9000")])

    assert answer(slow, uncalibrated()).ttft_s is not None
    assert answer(fast, uncalibrated()).ttft_s is None


def test_beyond_the_kv_cache_a_closed_loop_gives_no_more_and_waits_longer() -> None:
    rows = [
        row(row_id=f"L{users}", load="closed-loop", concurrency=users, notes="KV blocks 1000 x16")
        for users in ("30", "60", "120")
    ]

    fits, full, beyond = (answer(run, uncalibrated()) for run in closed_runs(rows))

    # 16,000 tokens hold 29.1 requests of 550 on average.
    assert full.running == beyond.running == pytest.approx(29.09, abs=0.01)
    assert beyond.tokens_per_s.value == pytest.approx(fits.tokens_per_s.value, rel=0.05)
    assert full.ttft_s is not None
    assert beyond.ttft_s is not None
    assert beyond.ttft_s.value > 2 * full.ttft_s.value


def test_the_report_counts_refusals_and_compares_copies() -> None:
    rows = [
        row(),
        row(row_id="C2", request_rate_rps="9000"),
        row(row_id="K1", request_rate_rps="INF", out_tok_s="4000"),
        row(row_id="K2", request_rate_rps="INF", out_tok_s="7200", dp="2"),
    ]

    report = openloop_report(rows)

    (table,) = [each for each in report["tables"] if each["rows"] == "C"]
    assert table["steady"] == {"told": 1, "refused": 0}
    assert table["saturated"] == {"told": 0, "refused": 1}
    (copies,) = report["copies"]
    assert copies["layouts"] == ["1x1", "2x1"]
    assert copies["measured"] == pytest.approx(1.8)
    assert copies["predicted"] == pytest.approx(2.0, rel=0.01)


def test_the_table_names_what_fell_behind() -> None:
    assert any("fell behind: 0 told, 1 refused" in line for line in lines(_saturated()))


def _saturated() -> dict[str, object]:
    return openloop_report([row(), row(row_id="C2", request_rate_rps="9000")])


@needs_rows
def test_no_published_run_that_fell_behind_is_told_a_time() -> None:
    report = openloop_report(read_rows(PUBLISHED))

    (online,) = [each for each in report["tables"] if each["rows"] == "C"]
    assert online["saturated"]["told"] == 0
    assert online["steady"]["refused"] <= online["steady"]["told"] / 10
