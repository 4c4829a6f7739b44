"""A whole run in numbers: what goes into which row, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from replicore.bench.record import FailureKind
from replicore.bench.stats.summary import Objectives, Rate, Window, summarize
from tests.unit.bench.stats.records import OPEN, back_to_back, failed, record, run, span


def value(rate: Rate | None) -> float:
    assert rate is not None
    return rate.value


def test_warmup_tokens_that_arrive_within_the_window_count() -> None:
    warmup = record(0.0, chunks=(1.0, 6.0))
    records = [record(start, chunks=(start + 1, start + 2)) for start in (2.0, 4.0, 6.0, 8.0)]
    summary = summarize(run(*records, warmup=(warmup,), concurrency=2))

    # In flight 2 from 2 s (the first measured) to 6 s (the warm-up ends): [2, 6), long enough for
    # two residence times of 2 s. Tokens at 3, 4 and 5 are in it; that of the warm-up at 6 is not.
    assert summary.window == Window(start_s=2.0, end_s=6.0, steady=True)
    assert value(summary.total.output_tokens_per_s) == 3 / 4


def test_throughput_does_not_gain_from_the_end_of_the_run() -> None:
    # One token every second per place, two places. A straggler alone takes 10 s more.
    spans = [(0.0, 10.0), (0.0, 10.0), (10.0, 20.0), (10.0, 20.0), (20.0, 30.0)]
    records = [
        record(start, chunks=tuple(np.arange(start + 1, end + 1).tolist())) for start, end in spans
    ]
    summary = summarize(run(*records, concurrency=2))

    # [0, 20): tokens at 1..19 twice = 38; those at 20 are outside. Whole run: 50 in 30 s.
    assert summary.window.end_s == 20.0
    assert value(summary.total.output_tokens_per_s) == pytest.approx(38 / 20)
    assert value(summary.whole.output_tokens_per_s) == pytest.approx(50 / 30)


def test_latencies_are_of_the_requests_that_started_within_the_window() -> None:
    # Two places; the straggler of the run above starts at the very end of the window.
    records = [*back_to_back(10, places=2), span(10.0, 30.0)]
    summary = summarize(run(*records, concurrency=2))

    assert (summary.total.requests, summary.total.e2e_s.n) == (21, 20)
    assert summary.whole.e2e_s.max == 20.0


def test_summary_counts_successes_errors_and_unfinished_apart() -> None:
    good = [record(0.0), record(3.0, chunks=(4.0, 5.0))]
    bad = [
        failed(FailureKind.HTTP, status=500),
        failed(FailureKind.HTTP, status=500),
        failed(FailureKind.TIMEOUT),
        failed(FailureKind.INTERRUPTED),
    ]
    summary = summarize(run(*good, *bad))
    total = summary.total

    assert (total.requests, total.succeeded, total.errors, total.unfinished) == (5, 2, 3, 1)
    assert summary.errors == {"http_500": 2, "timeout": 1}
    assert summary.error_examples == {"http_500": "refused", "timeout": "refused"}


def test_latencies_of_broken_answers_are_in_no_distribution() -> None:
    summary = summarize(run(record(0.0), failed(FailureKind.CUT, chunks=(9.0, 99.0))))

    assert (summary.total.ttft_s.n, summary.total.ttft_s.max) == (1, 1.0)
    assert summary.total.e2e_s.max == 3.0


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.INTERRUPTED])
def test_requests_that_were_given_up_are_censored(kind: FailureKind) -> None:
    # The first token came at 2 s, so TTFT is known; that the answer took more than 8 s is all else.
    started = failed(kind, chunks=(2.0,), ended_s=8.0)
    silent = failed(kind, ended_s=8.0)
    total = summarize(run(record(), started, silent)).total

    assert (total.ttft_s.n, total.ttft_s.censored) == (3, 1)
    assert total.ttft_s.max == 2.0
    assert (total.e2e_s.n, total.e2e_s.censored) == (3, 2)
    assert total.tpot_s.n == 1


def test_undefined_values_are_left_out() -> None:
    # One token: a TTFT, no TPOT. No content: neither.
    one, none = record(chunks=(1.0,)), record(chunks=(), output_tokens=2)
    total = summarize(run(record(), one, none)).total

    assert (total.succeeded, total.ttft_s.n, total.tpot_s.n) == (3, 2, 1)


def test_gaps_of_all_requests_stand_together_without_those_between_requests() -> None:
    records = [record(chunks=(1.0, 2.0, 4.0)), record(chunks=(10.0,)), record(chunks=(20.0, 20.5))]
    gaps = summarize(run(*records)).total.gap_s

    # 1, 2 and 0.5; the single chunk has none
    assert (gaps.n, gaps.min, gaps.max) == (3, 0.5, 2.0)


def test_row_has_every_latency_of_a_request() -> None:
    # s = 0, chunks at 1, 2, 3
    total = summarize(run(record())).total

    assert total.normalized_s.mean == 1.0
    assert total.user_rate_per_s.mean == 1.0
    assert total.max_stall_s.mean == 1.0
    assert total.fluidity.n == 0


def test_latencies_of_an_open_loop_count_from_the_plan() -> None:
    late = record(0.5, intended_s=0.25)
    opened, closed = summarize(run(late, load=OPEN)), summarize(run(late))

    assert (opened.latency_from, closed.latency_from) == ("intended", "dispatched")
    assert (opened.total.ttft_s.mean, closed.total.ttft_s.mean) == (0.75, 0.5)
    assert opened.total.ttft_dispatched_s.mean == 0.5
    assert opened.total.e2e_s.mean == 2.75


def test_goodput_counts_requests_within_every_objective() -> None:
    # TTFT 1, TPOT 1; the same 2 s later, TTFT 3; and one that failed. 5 s in all.
    records = [record(), record(chunks=(3.0, 4.0, 5.0)), failed(FailureKind.CUT, chunks=(1.0,))]
    summary = summarize(run(*records), slo=Objectives(ttft_s=2.0, tpot_s=1.0))

    assert value(summary.total.goodput_per_s) == pytest.approx(1 / 5)
    assert summary.total.attainment == pytest.approx(1 / 3)
    # Due at 2, 3, 4 and all there; of the later one the first token comes after 2 s.
    assert summary.total.fluidity.mean == pytest.approx((1 + 2 / 3) / 2)


def test_without_objectives_there_is_no_goodput() -> None:
    total = summarize(run(record())).total

    assert (total.goodput_per_s, total.attainment) == (None, None)


def test_summary_has_a_row_per_replica_in_natural_order() -> None:
    records = [record(replica=name) for name in ("r10", "r2", "r2", "r2")]
    summary = summarize(run(*records))

    assert [(row.name, row.requests, row.share) for row in summary.replicas] == [
        ("r2", 3, 0.75),
        ("r10", 1, 0.25),
    ]
    # 3 requests over a mean of (3 + 1) / 2 = 2; 4^2 / (2 (9 + 1))
    assert (summary.imbalance, summary.jain) == (1.5, 0.8)


def test_replica_rates_add_up_to_the_total() -> None:
    records = back_to_back(20, places=2)
    apart = [replace(one, replica=f"r{place % 2}") for place, one in enumerate(records)]
    summary = summarize(run(*apart, concurrency=2))

    rates = [value(row.output_tokens_per_s) for row in summary.replicas]
    assert sum(rates) == pytest.approx(value(summary.total.output_tokens_per_s))


def test_long_steady_run_has_intervals_of_its_rates() -> None:
    # 40 residence times are 40 batches. Two tokens each second, without any variation.
    rate = summarize(run(*back_to_back(40))).total.output_tokens_per_s

    assert rate is not None
    assert rate.low is not None
    assert rate.low <= 2.0 <= (rate.high or 0.0)


def test_total_token_rate_adds_the_input_tokens() -> None:
    # 3 output and 10 input tokens in 3 s, the end inside
    total = summarize(run(record())).total

    assert value(total.total_tokens_per_s) == pytest.approx(13 / 3)
    assert value(total.requests_per_s) == pytest.approx(1 / 3)


def test_servers_that_cannot_keep_up_show_a_rising_backlog() -> None:
    # One each second, answered one after the other in 2 s each: ever more wait.
    behind = [span(float(n), 2.0 * n + 2, intended_s=float(n)) for n in range(100)]
    found = summarize(run(*behind, load=OPEN)).in_flight_trend

    assert found is not None
    assert found.slope_per_s == pytest.approx(0.5, abs=0.05)
    assert found.p_value < 1e-6


def test_ttft_that_grows_all_the_time_is_a_trend() -> None:
    growing = [
        record(float(n), chunks=(n + 0.1 + n / 200, n + 0.75), index=n, ended_s=n + 1.0)
        for n in range(100)
    ]
    steady = summarize(run(*back_to_back(100))).ttft_trend
    found = summarize(run(*growing)).ttft_trend

    assert found is not None
    assert found.p_value < 1e-6
    assert steady is not None
    assert steady.p_value == 1.0


# SAD PATH


def test_summary_of_nothing_has_no_rates() -> None:
    summary = summarize(run())

    assert summary.total.output_tokens_per_s is None
    assert summary.replicas == ()
    assert (summary.imbalance, summary.jain, summary.little) == (None, None, None)


def test_summary_of_failures_alone_has_rates_of_zero() -> None:
    summary = summarize(run(failed(ended_s=1.0), failed(ended_s=2.0)))

    assert value(summary.total.output_tokens_per_s) == 0
    assert summary.total.ttft_s.n == 0
