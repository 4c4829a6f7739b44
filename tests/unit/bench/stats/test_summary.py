"""Metrics of hand-made records: every expected number is worked out in a comment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult, Failure, FailureKind, RequestRecord
from replicore.bench.stats.summary import (
    Distribution,
    Window,
    attainment,
    chunk_gaps,
    completed_in,
    distribution,
    e2e,
    imbalance,
    input_tokens_in,
    measuring_window,
    output_tokens_in,
    scaling_efficiency,
    summarize,
    tpot,
    ttft,
)
from replicore.errors import UndefinedMetric


def record(
    start: float = 0.0,
    chunks: tuple[float, ...] = (1.0, 2.0, 3.0),
    tokens: tuple[float, ...] | None = None,
    **fields: Any,
) -> RequestRecord:
    """A request whose chunks arrive at the given times, one token each unless told."""
    tokens = (1.0,) * len(chunks) if tokens is None else tokens
    values: dict[str, Any] = {
        "index": 0,
        "endpoint": "http://127.0.0.1:8000",
        "replica": "r0",
        "input_tokens_asked": 10,
        "output_tokens_asked": 3,
        "intended_s": start,
        "dispatched_s": start,
        "ended_s": chunks[-1] if chunks else start,
        "chunk_times_s": chunks,
        "chunk_tokens": tokens,
        "input_tokens": 10,
        "output_tokens": round(sum(tokens)),
        "status": 200,
    }
    return RequestRecord(**(values | fields))


def failed(kind: FailureKind = FailureKind.CONNECT, **fields: Any) -> RequestRecord:
    missing: dict[str, Any] = {"input_tokens": None, "output_tokens": None, "status": None}
    failure = {"failure": Failure(kind, "refused"), "chunks": ()}
    return record(**(missing | failure | fields))


def run(*records: RequestRecord, concurrency: int = 1, warmup: Any = ()) -> BenchResult:
    return BenchResult(
        endpoints=("http://127.0.0.1:8000",),
        model="m",
        workload=Workload(),
        requests=len(records),
        load=Load(concurrency=concurrency),
        simulated=False,
        exact_prompts=True,
        started_at="2026-11-23T08:00:00+00:00",
        interrupted=False,
        warmup=tuple(warmup),
        records=records,
    )


def window(start: float, end: float) -> Window:
    return Window(start_s=start, end_s=end, steady=True)


def test_ttft_counts_from_dispatch_to_the_first_chunk() -> None:
    # 1.5 - 0.25; the wait for its place in the loop (0.05) is not the server's
    timed = record(0.25, chunks=(1.5, 2.0), intended_s=0.05, written_s=0.26, head_s=0.9)

    assert ttft(timed) == 1.25


def test_e2e_counts_to_the_last_chunk_and_not_to_the_end_of_the_stream() -> None:
    # 2.0 - 0.25; usage and [DONE] came at 2.5
    assert e2e(record(0.25, chunks=(1.5, 2.0), ended_s=2.5)) == 1.75


def test_tpot_divides_by_the_tokens_after_the_first() -> None:
    # 3.0 - 1.0 s over 5 - 1 tokens
    assert tpot(record(chunks=(1.0, 2.0, 3.0), tokens=(1, 2, 2))) == 0.5


def test_tpot_of_tokens_that_came_in_one_chunk_is_zero() -> None:
    # 2.0 - 2.0 s over 8 - 1 tokens
    assert tpot(record(chunks=(2.0,), tokens=(8,))) == 0.0


@pytest.mark.parametrize("tokens", [0, 1, None])
def test_tpot_of_fewer_than_two_tokens_is_undefined(tokens: int | None) -> None:
    with pytest.raises(UndefinedMetric, match="fewer than two output tokens"):
        tpot(record(chunks=(1.0,), output_tokens=tokens))


@pytest.mark.parametrize("metric", [ttft, e2e, tpot])
def test_latency_without_content_is_undefined(metric: Any) -> None:
    with pytest.raises(UndefinedMetric, match="request 7"):
        metric(record(chunks=(), index=7, output_tokens=4))


def test_chunk_gaps_are_the_differences_of_arrivals() -> None:
    assert chunk_gaps(record(chunks=(1.0, 1.0, 1.5, 3.0))) == (0.0, 0.5, 1.5)
    assert chunk_gaps(record(chunks=(1.0,))) == ()


@pytest.mark.parametrize(
    ("values", "p50", "p90", "p99"),
    [
        # h = (n - 1) p: of one value every percentile is the value
        ([4.0], 4.0, 4.0, 4.0),
        # h = 0.5, 0.9, 0.99 between 0 and 10
        ([10.0, 0.0], 5.0, 9.0, 9.9),
        # h = 2, 3.6, 3.96 of 1..5
        ([5.0, 1.0, 4.0, 2.0, 3.0], 3.0, 4.6, 4.96),
    ],
)
def test_percentiles_interpolate_between_order_statistics(
    values: list[float], p50: float, p90: float, p99: float
) -> None:
    found = distribution(values)

    assert (found.p50, found.p90, found.p99) == pytest.approx((p50, p90, p99))


def test_distribution_has_mean_and_extremes() -> None:
    found = distribution([1.0, 2.0, 6.0])

    assert (found.n, found.mean, found.min, found.max) == (3, 3.0, 1.0, 6.0)


def test_distribution_of_nothing_has_no_numbers() -> None:
    assert distribution([]) == Distribution(n=0)
    assert distribution([]).p99 is None


@pytest.mark.parametrize(
    ("n", "percentile", "supported"),
    [
        (1, 50, False),
        (2, 50, True),
        (9, 90, False),
        (10, 90, True),
        (99, 99, False),
        (100, 99, True),
    ],
)
def test_percentile_is_supported_when_a_value_is_expected_beyond_it(
    n: int, percentile: float, supported: bool
) -> None:
    assert Distribution(n=n).supports(percentile) is supported


def test_output_tokens_count_where_they_arrive_and_not_where_the_request_ends() -> None:
    # Chunks of 1, 2, 4 tokens at 1, 2, 3 s; a half-open window [2, 3) holds the second only.
    records = [record(chunks=(1.0, 2.0, 3.0), tokens=(1, 2, 4))]

    assert output_tokens_in(records, window(2.0, 3.0)) == 2
    assert output_tokens_in(records, window(0.0, 3.5)) == 7


def test_output_tokens_of_failed_requests_do_not_count() -> None:
    cut = failed(FailureKind.CUT, chunks=(1.0, 2.0))
    unfinished = failed(FailureKind.INTERRUPTED, chunks=(1.0, 2.0, 3.0))

    assert output_tokens_in([cut, unfinished], window(0.0, 10.0)) == 3


def test_input_tokens_count_at_the_first_chunk() -> None:
    records = [record(chunks=(1.0, 4.0)), record(chunks=(5.0, 6.0)), failed(chunks=(1.0,))]

    assert input_tokens_in(records, window(0.0, 2.0)) == 10


def test_requests_complete_where_they_end() -> None:
    records = [record(ended_s=1.0), record(ended_s=2.0), failed(ended_s=1.0)]

    assert completed_in(records, window(0.5, 2.0)) == 1


def steady_run() -> BenchResult:
    """Two in flight for 0..9 s: A 0-3, B 0-4, C 3-6, D 4-9, E 6-10."""
    spans = [(0.0, 3.0), (0.0, 4.0), (3.0, 6.0), (4.0, 9.0), (6.0, 10.0)]
    records = [record(start, chunks=(start + 1, end)) for start, end in spans]
    return run(*records, concurrency=2)


def test_steady_window_ends_when_the_concurrency_cannot_be_kept() -> None:
    # 9 s are more than two mean latencies: 2 (3 + 4 + 3 + 5 + 4) / 5 = 7.6 s
    assert measuring_window(steady_run()) == Window(start_s=0.0, end_s=9.0, steady=True)


def test_steady_window_starts_with_the_first_measured_request() -> None:
    records = steady_run().records
    result = run(*records[2:], warmup=records[:2], concurrency=2)

    # C at 3 s is the first measured one; [3, 9) is shorter than two mean latencies of C, D, E:
    # 2 (3 + 5 + 4) / 3 = 8 s, so the whole run counts.
    assert measuring_window(result).steady is False
    assert measuring_window(result).start_s == 3.0


def test_warmup_tokens_that_arrive_within_the_window_count() -> None:
    warmup = record(0.0, chunks=(1.0, 6.0))
    records = [record(start, chunks=(start + 1, start + 2)) for start in (2.0, 4.0, 6.0, 8.0)]
    summary = summarize(run(*records, warmup=[warmup], concurrency=2))

    # In flight 2 from 2 s (the first measured) to 6 s (the warm-up ends): [2, 6), long enough for
    # two latencies of 2 s. Tokens at 3, 4 and 5 are in it; that of the warm-up at 6 is not.
    assert summary.window == Window(start_s=2.0, end_s=6.0, steady=True)
    assert summary.total.output_tokens_per_s == 3 / 4


def test_window_is_the_whole_run_where_the_concurrency_was_never_reached() -> None:
    result = run(record(1.0, chunks=(2.0,)), record(2.0, chunks=(4.0,)), concurrency=8)
    found = measuring_window(result)

    assert (found.start_s, found.steady) == (1.0, False)
    assert found.length_s == pytest.approx(3.0)
    assert found.holds(4.0)


def test_window_tolerates_one_of_twenty_places_being_empty() -> None:
    # 19 of 20 are 95 %: the request that ended early does not end the window.
    records = [record(0.0, chunks=(0.1, 10.0)) for _ in range(19)]
    short = [record(0.0, chunks=(0.05, 0.1)) for _ in range(60)]
    found = measuring_window(run(*records, *short, concurrency=20))

    assert found == Window(start_s=0.0, end_s=10.0, steady=True)


def test_throughput_does_not_gain_from_the_end_of_the_run() -> None:
    # One token every second per place, two places. A straggler alone takes 10 s more.
    spans = [(0.0, 10.0), (0.0, 10.0), (10.0, 20.0), (10.0, 20.0), (20.0, 30.0)]
    records = [
        record(start, chunks=tuple(np.arange(start + 1, end + 1).tolist())) for start, end in spans
    ]
    summary = summarize(run(*records, concurrency=2))

    # [0, 20): tokens at 1..19 twice = 38; those at 20 are outside. Whole run: 50 in 30 s.
    assert summary.window.end_s == 20.0
    assert summary.total.output_tokens_per_s == pytest.approx(38 / 20)
    assert summary.run_output_tokens_per_s == pytest.approx(50 / 30)


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


def test_summary_latencies_are_of_successful_requests_only() -> None:
    summary = summarize(run(record(0.0), failed(FailureKind.CUT, chunks=(9.0, 99.0))))

    assert (summary.total.ttft_s.n, summary.total.ttft_s.max) == (1, 1.0)
    assert summary.total.e2e_s.max == 3.0


def test_summary_leaves_undefined_values_out_of_the_percentiles() -> None:
    # One token: a TTFT, no TPOT. No content: neither.
    one, none = record(chunks=(1.0,)), record(chunks=(), output_tokens=2)
    total = summarize(run(record(), one, none)).total

    assert (total.succeeded, total.ttft_s.n, total.tpot_s.n) == (3, 2, 1)


def test_summary_has_a_row_per_replica_in_natural_order() -> None:
    records = [record(replica=name) for name in ("r10", "r2", "r2", "r2")]
    summary = summarize(run(*records))

    assert [(row.name, row.requests, row.share) for row in summary.replicas] == [
        ("r2", 3, 0.75),
        ("r10", 1, 0.25),
    ]
    # 3 requests over a mean of (3 + 1) / 2 = 2
    assert summary.imbalance == 1.5


def test_replica_rates_add_up_to_the_total() -> None:
    result = steady_run()
    records = [replace(r, replica=f"r{index % 2}") for index, r in enumerate(result.records)]
    summary = summarize(replace(result, records=tuple(records)))

    rates = [row.output_tokens_per_s or 0 for row in summary.replicas]
    # Tokens of [0, 9): at 1, 3, 1, 4, 4, 6, 5, 7 = 8; those at 9 and 10 are outside.
    assert sum(rates) == pytest.approx(8 / 9)
    assert summary.total.output_tokens_per_s == pytest.approx(8 / 9)


def test_total_token_rate_adds_the_input_tokens() -> None:
    # 3 output and 10 input tokens in 3 s, the end inside
    total = summarize(run(record())).total

    assert total.total_tokens_per_s == pytest.approx(13 / 3)
    assert total.requests_per_s == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([5, 5], 1.0), ([10, 0], 2.0), ([6, 3, 3], 1.5), ([7], None), ([], None), ([0, 0], None)],
)
def test_imbalance_is_the_largest_over_the_mean(counts: list[int], expected: float | None) -> None:
    assert imbalance(counts) == expected


def test_scaling_efficiency_compares_with_as_many_single_replicas() -> None:
    # 180 tok/s of 2 replicas where one has 100
    assert scaling_efficiency(180.0, 2, 100.0) == 0.9


# SAD PATH


def test_scaling_efficiency_without_a_single_rate_is_undefined() -> None:
    with pytest.raises(UndefinedMetric):
        scaling_efficiency(180.0, 2, 0.0)


def test_summary_of_nothing_has_no_rates() -> None:
    summary = summarize(run())

    assert summary.total.output_tokens_per_s is None
    assert summary.replicas == ()
    assert summary.imbalance is None


def test_summary_of_failures_alone_has_rates_of_zero() -> None:
    summary = summarize(run(failed(ended_s=1.0), failed(ended_s=2.0)))

    assert summary.total.output_tokens_per_s == 0
    assert summary.total.ttft_s.n == 0


def test_attainment_counts_failed_requests_as_missed() -> None:
    # TTFT 1.0, TPOT (3 - 1) / 2 = 1.0; the same but 2 s later, TTFT 3.0; and one that failed.
    good, slow = record(), record(chunks=(3.0, 4.0, 5.0))
    failed = record(failure=Failure(FailureKind.CUT, "x"))

    assert attainment([good, slow, failed], ttft_s=2.0, tpot_s=1.0) == pytest.approx(1 / 3)
    assert attainment([good, slow, failed], ttft_s=None, tpot_s=1.0) == pytest.approx(2 / 3)


def test_attainment_of_one_token_has_no_tpot_to_miss() -> None:
    assert attainment([record(chunks=(1.0,))], ttft_s=1.0, tpot_s=0.001) == 1.0


def test_attainment_without_objectives_or_requests_is_undefined() -> None:
    assert attainment([record()], ttft_s=None, tpot_s=None) is None
    assert attainment([], ttft_s=1.0, tpot_s=None) is None
