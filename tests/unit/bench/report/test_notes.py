"""The sentences beside the numbers."""

from __future__ import annotations

from replicore.bench.load.arrivals import Constant, Load
from replicore.bench.record import Calibration
from replicore.bench.report.notes import notes, slo_notes
from replicore.bench.stats.client import ClientSummary
from replicore.bench.stats.little import Little
from replicore.bench.stats.objectives import Objectives
from replicore.bench.stats.quantiles import Distribution
from replicore.bench.stats.rates import Rate
from replicore.bench.stats.summary import Summary
from replicore.bench.stats.trend import Trend
from replicore.bench.stats.window import Window
from tests.unit.bench.report.runs import record, row, run, summary, values

ONE = run(record())


def told(found: Summary) -> str:
    return "\n".join(notes(ONE, found))


def test_notes_of_a_clean_run_explain_the_window_only() -> None:
    assert notes(ONE, summary()) == [
        "rates are over the 8.0 s of 10.0 s with 1 request in flight (whole run: 100 output tok/s)"
    ]


def test_notes_say_what_was_trimmed_from_the_window() -> None:
    window = Window(start_s=1.0, end_s=9.0, steady=True, trimmed_s=0.5)

    assert "0.5 s of warming up cut off" in told(summary(window=window))


def test_notes_of_a_run_that_was_never_steady_say_so() -> None:
    window = Window(start_s=0.0, end_s=10.0, steady=False)

    assert "rates are over the whole run of 10.0 s, its end included" in told(
        summary(window=window)
    )


def test_notes_say_first_that_the_run_was_interrupted() -> None:
    stopped = run(record(), interrupted=True, requests=300)

    assert notes(stopped, summary())[0] == "interrupted: 200 of 300 requests are over"


def test_notes_of_an_interrupted_run_by_time_have_no_number_of_requests() -> None:
    stopped = run(record(), interrupted=True, requests=None)

    assert notes(stopped, summary())[0] == "interrupted: 200 requests are over"


def test_notes_count_errors_with_their_text_most_frequent_first() -> None:
    found = summary(
        errors={"cut": 1, "http_503": 2},
        error_examples={"cut": "no [DONE]", "http_503": "status 503: busy"},
    )

    assert notes(ONE, found)[:2] == ["2 × http_503: status 503: busy", "1 × cut: no [DONE]"]


def test_simulated_run_says_so() -> None:
    said = notes(run(record(), simulated=True), summary())

    assert "simulated: these numbers are of no real engine" in said


def test_notes_say_that_prompts_are_text() -> None:
    said = notes(run(record(input_tokens=12), exact_prompts=False), summary())

    assert "prompts are of about the asked length: 12 input tokens, 10 asked" in said


def test_notes_say_that_the_server_counts_other_input_lengths() -> None:
    said = notes(run(record(input_tokens=11)), summary())

    assert "the server counted other input lengths than were sent" in said


def test_notes_say_that_answers_were_shorter_than_asked() -> None:
    said = notes(run(record(output_tokens=2)), summary())

    assert "answers were shorter than asked: 2 tokens of 3" in said


def test_notes_say_that_a_prefix_cache_answered() -> None:
    assert "a prefix cache held 40% of the input tokens" in told(summary(row(cached_tokens=800)))


def test_notes_tell_the_busiest_replica() -> None:
    assert "busiest replica: 1.50 × the mean" in told(summary(imbalance=1.5))


def test_notes_tell_a_trend_only_where_chance_is_no_explanation() -> None:
    rising = Trend(slope_per_s=0.012, p_value=0.001)

    assert "TTFT rose by 12.0 ms a second" in told(summary(ttft_trend=rising))
    assert "TTFT rose" not in told(summary(ttft_trend=Trend(slope_per_s=0.012, p_value=0.2)))


def test_notes_tell_records_that_contradict_themselves() -> None:
    off = Little(in_flight=8, arrival_rate_per_s=4, residence_s=1.9, residual=0.05, tolerance=0.02)

    assert "Little's law is off by 5.0%, at most 2.0% is expected" in told(summary(little=off))


def test_notes_tell_requests_that_never_ended() -> None:
    found = Distribution(n=10, censored=2)

    assert "2 of 10 requests never ended" in told(summary(row(e2e_s=found)))


def test_notes_explain_the_mark_of_a_refused_percentile_of_any_row() -> None:
    few = row("r1", tpot_s=values(0.05, None))

    assert "≥: too few requests" in told(summary(row(), row("r0"), few))
    assert "≥" not in told(summary(row(), row("r0"), row("r1")))


def test_notes_of_an_open_loop_tell_where_latencies_begin_and_what_was_sent() -> None:
    client = ClientSummary(
        send_delay_p50_s=0.0,
        send_delay_p99_s=0.0,
        read_lag_p99_s=None,
        requested_rate_per_s=10.0,
        achieved_rate_per_s=9.5,
        full_share=None,
    )
    planned = run(record(), load=Load(concurrency=None, arrivals=Constant(10)))
    said = "\n".join(notes(planned, summary(latency_from="intended", client=client)))

    assert "from when a request should have left" in said
    assert "9.50 requests a second were sent, 10.0 were planned" in said
    assert "with the load kept up" in said


def test_notes_tell_the_clients_own_error() -> None:
    calibration = Calibration(
        streams=8,
        chunks_per_s=800,
        ttft_error_s=0.0005,
        ttft_p99_error_s=0.001,
        gap_p99_error_s=-0.0002,
        stamped=True,
    )
    said = notes(run(record(), calibration=calibration), summary())

    assert said[-1] == (
        "this client's own error at this load: TTFT +0.500 ms, chunk gap p99 -0.200 ms"
    )


def test_slo_notes_of_a_run_without_objectives_are_none() -> None:
    assert slo_notes(summary()) == []


def test_slo_that_the_whole_interval_is_within_is_met() -> None:
    assert slo_notes(summary(objectives=Objectives(ttft_s=0.6))) == [
        "slo: TTFT p99 is 500 ms (450–550), at most 600 ms was asked: met"
    ]


def test_slo_within_the_interval_is_not_certain() -> None:
    (said,) = slo_notes(summary(objectives=Objectives(ttft_s=0.52)))

    assert said.endswith("was asked: met, but the interval holds the limit")


def test_slo_below_the_interval_is_missed() -> None:
    (said,) = slo_notes(summary(objectives=Objectives(tpot_s=0.04)))

    assert said == "slo: TPOT p99 is 60.0 ms (54.0–66.0), at most 40.0 ms was asked: missed"


def test_slo_of_a_refused_percentile_cannot_be_met() -> None:
    few = row(e2e_s=values(0.35, None, low=0.4))

    (unknown,) = slo_notes(summary(few, objectives=Objectives(e2e_s=0.5)))
    (missed,) = slo_notes(summary(few, objectives=Objectives(e2e_s=0.3)))

    assert unknown.endswith(
        "is at least 400 ms, at most 500 ms was asked: too few requests to tell"
    )
    assert missed.endswith("at most 300 ms was asked: missed")


def test_slo_notes_tell_the_share_of_good_requests_and_goodput() -> None:
    good = row(attainment=0.95, goodput_per_s=Rate(value=30.0, low=28.0, high=32.0))

    (said,) = slo_notes(summary(good))

    assert said.startswith("slo: 95.0% of the requests were within it, failed ones not")
    assert said.endswith("goodput 30.0 requests a second (28.0–32.0)")
