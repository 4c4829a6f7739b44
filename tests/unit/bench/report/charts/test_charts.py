"""The charts of a run: what they draw is what the summary says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from replicore.bench.record import Failure, FailureKind
from replicore.bench.report.charts.distributions import (
    Metric,
    histogram,
    latency_charts,
    percentiles,
)
from replicore.bench.report.charts.health import client_charts, server_charts
from replicore.bench.report.charts.replicas import replica_charts
from replicore.bench.report.charts.samples import Sample, Samples
from replicore.bench.report.charts.timeline import timeline
from replicore.bench.report.figure import Figure
from replicore.bench.stats.objectives import Objectives
from replicore.bench.stats.quantiles import distribution
from replicore.bench.stats.summary import summarize
from tests.unit.bench.report.runs import busy_run, drawable, record, row, run, summary, values

BUSY = busy_run(seconds=20.0)
SLO = Objectives(ttft_s=0.5, tpot_s=0.03, e2e_s=2.0)
FOUND = summarize(BUSY, slo=SLO)
TTFT = Metric(title="Time to first token", unit="ms", scale=1000, limit_s=0.5)


def sample(*seconds: float, censored: Sequence[bool] = ()) -> Sample:
    hidden = np.array(censored or [False] * len(seconds))
    return Sample(np.array(seconds), hidden)


def of(found: Figure, name: str) -> dict[str, Any]:
    return next(trace for trace in found.traces if trace["name"] == name)


def charts() -> dict[str, Figure]:
    everything = [
        *timeline(BUSY, FOUND),
        *latency_charts(BUSY, FOUND),
        *replica_charts(FOUND),
        *server_charts(BUSY.servers),
        *client_charts(BUSY.client),
    ]
    return {found.title: found for found in everything}


CHARTS = charts()


@pytest.mark.parametrize("title", CHARTS)
def test_chart_is_what_plotly_understands(title: str) -> None:
    found = CHARTS[title]

    go.Figure(drawable({"data": found.traces, "layout": found.layout}))


def test_tokens_over_time_add_up_to_the_tokens_of_the_run() -> None:
    found = CHARTS["Output tokens per second"]
    total = 0.0
    for trace in found.traces:
        if "stackgroup" in trace:
            edges, rates = np.array(trace["x"]), np.array(trace["y"])[:-1]
            total += float(rates @ np.diff(edges))

    answered = [one for one in (*BUSY.warmup, *BUSY.records) if one.succeeded]
    assert total == pytest.approx(sum(one.output_tokens or 0 for one in answered), rel=1e-4)


def test_requests_in_flight_of_the_replicas_add_up_to_all() -> None:
    found = CHARTS["Requests in flight"]
    parts = [of(found, name)["y"] for name in ("replica-0", "replica-1")]

    assert np.sum(parts, axis=0) == pytest.approx(np.array(of(found, "all")["y"]), rel=1e-4)


def test_failed_requests_are_marked_when_they_ended() -> None:
    lost = record(1, failure=Failure(FailureKind.HTTP, "busy"), chunk_times_s=())
    found = timeline(run(record(0), lost), summary())[2]

    assert of(found, "failed")["x"] == [2.0]
    assert of(found, "failed")["text"] == ["http"]


def test_unfinished_requests_are_not_marked_as_failed() -> None:
    cut = record(1, failure=Failure(FailureKind.INTERRUPTED, "stopped"), chunk_times_s=())
    found = timeline(run(record(0), cut), summary())[2]

    assert "failed" not in [trace["name"] for trace in found.traces]


def test_run_without_requests_has_no_charts_over_time() -> None:
    assert timeline(run(), summary()) == []


def test_objectives_are_lines_in_their_charts() -> None:
    titles = ["Time to first token by percentile", "Time per output token by percentile"]
    limits = [CHARTS[title].layout["shapes"][0]["y0"] for title in titles]  # type: ignore[index]

    assert limits == [500.0, 30.0]


def test_histogram_shares_are_of_all_values() -> None:
    found = histogram(TTFT, sample(0.1, 0.1, 0.2, 0.4), distribution([0.1, 0.1, 0.2, 0.4]))

    assert sum(of(found, "requests")["y"]) == pytest.approx(100)


def test_histogram_of_equal_values_is_one_bar() -> None:
    found = histogram(TTFT, sample(0.1, 0.1), distribution([0.1, 0.1]))

    assert max(of(found, "requests")["y"]) == 100


def test_histogram_tells_what_lies_beyond_it() -> None:
    times = [0.1 + 0.0001 * number for number in range(999)] + [9.0]
    found = histogram(TTFT, sample(*times), distribution(times))

    assert " 1 beyond the chart, up to 9,000 ms." in found.note
    assert max(of(found, "requests")["x"]) < 250


def test_histogram_tells_what_never_ended() -> None:
    hidden = np.array([False, False, True])
    known = distribution([0.1, 0.2, 0.3], censored=hidden)
    found = histogram(TTFT, sample(0.1, 0.2, 0.3, censored=[False, False, True]), known)

    assert found.note.endswith("1 never ended, and are not in it.")


def test_percentile_curve_goes_from_the_smallest_to_the_largest_value() -> None:
    times = [0.1, 0.2, 0.3, 0.4]
    found = percentiles(TTFT, {"all": sample(*times)}, distribution(times))

    curve = of(found, "all")
    assert curve["y"][0] == 100
    # Up to the share 1 - 1 / n: of four values three quarters are below the last.
    assert curve["x"][-1] == pytest.approx(np.log10(4), rel=1e-4)
    assert curve["y"][-1] == pytest.approx(325)


def test_percentile_curve_ends_where_requests_never_ended() -> None:
    times, hidden = [0.1, 0.2, 0.3, 0.4], [False, False, True, True]
    known = distribution(times, censored=np.array(hidden))
    found = percentiles(TTFT, {"all": sample(*times, censored=hidden)}, known)

    assert of(found, "all")["y"][-1] is None


def test_percentiles_that_the_sample_refuses_are_drawn_as_bounds() -> None:
    times = np.random.default_rng(1).uniform(0.1, 0.2, 40).tolist()
    found = percentiles(TTFT, {"all": sample(*times)}, distribution(times))

    known, bounds = of(found, "circle"), of(found, "triangle-up-open")
    assert "error_y" in known
    assert max(known["x"]) < min(bounds["x"])


def test_each_replica_has_a_curve_beside_all() -> None:
    names = [trace["name"] for trace in CHARTS["Time to first token by percentile"].traces]

    assert names[:3] == ["replica-0", "replica-1", "all"]


def test_samples_are_what_the_summary_counts() -> None:
    samples = Samples(BUSY, FOUND)
    counts = [len(samples.of(name).values) for name in ("ttft", "tpot", "gap", "e2e")]

    total = FOUND.total
    expected = [d.n for d in (total.ttft_s, total.tpot_s, total.gap_s, total.e2e_s)]
    assert counts == expected
    parts = [len(samples.of("gap", name).values) for name in ("replica-0", "replica-1")]
    assert sum(parts) == total.gap_s.n


def test_one_replica_is_not_compared_with_itself() -> None:
    assert replica_charts(summary(row(), row("r0"))) == []


def test_refused_percentile_of_a_replica_is_only_a_bound() -> None:
    few = row("r1", ttft_s=values(0.25, None))
    found = replica_charts(summary(row(), row("r0"), few))[2]

    known, bound = of(found, "p99"), of(found, "p99 is at least")
    assert (known["x"], known["y"]) == (["r0"], [500.0])
    assert known["error_y"]["array"] == [50.0]
    assert (bound["x"], bound["y"]) == (["r1"], [400.0])


def test_replica_that_answered_nothing_has_no_latency() -> None:
    dead = row("r1", ttft_s=distribution([]), output_tokens_per_s=None, succeeded=0, errors=9)
    rates, requests, first, _ = replica_charts(summary(row(), row("r0"), dead))

    assert of(rates, "tokens per second")["y"] == [100.0, 0.0]
    assert of(requests, "failed")["y"] == [0.0, 9.0]
    assert [trace["x"] for trace in first.traces] == [["r0"], ["r0"]]


def test_what_no_server_told_has_no_chart() -> None:
    silent = [replace(one, waiting=None, kv_usage=None) for one in BUSY.servers]

    assert [found.title for found in server_charts(silent)] == ["Running on the servers"]
    assert server_charts([]) == []


def test_what_one_server_did_not_tell_is_no_line_of_it() -> None:
    samples = [
        replace(one, waiting=None) if one.replica == "replica-1" else one for one in BUSY.servers
    ]
    waiting = server_charts(samples)[1]

    assert [trace["name"] for trace in waiting.traces] == ["replica-0"]


def test_client_has_a_line_for_each_process() -> None:
    two = [*BUSY.client, *(replace(one, worker=1) for one in BUSY.client)]

    assert [t["name"] for t in client_charts(two)[0].traces] == ["process 0", "process 1"]
