from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicore.bench.load.arrivals import Constant, Load
from replicore.bench.load.lengths import Lengths
from replicore.bench.load.workload import Prefixes, Turns, Workload
from replicore.bench.record import BenchResult, Calibration, ClientSecond
from replicore.bench.selfcheck.verdict import Kind, Verdict, judge
from replicore.bench.stats.client import ClientSummary
from replicore.bench.stats.little import Little
from replicore.bench.stats.objectives import Objectives
from replicore.bench.stats.quantiles import Distribution, Quantile
from replicore.bench.stats.summary import Row, Summary
from replicore.bench.stats.trend import Trend
from replicore.bench.stats.window import Window

NOTHING = Distribution(n=0)
CLIENT = ClientSummary(
    send_delay_p50_s=0.0001,
    send_delay_p99_s=0.001,
    read_lag_p99_s=0.0002,
    requested_rate_per_s=None,
    achieved_rate_per_s=None,
    full_share=1.0,
)
CALIBRATION = Calibration(
    streams=8,
    chunks_per_s=800.0,
    ttft_error_s=0.0001,
    ttft_p99_error_s=0.0002,
    gap_p99_error_s=0.0003,
    stamped=True,
)
LITTLE = Little(
    in_flight=8.0, arrival_rate_per_s=4.0, residence_s=2.0, residual=0.0, tolerance=0.02
)


def values(median: float, *, n: int = 200, p90: float | None = 1.0) -> Distribution:
    return Distribution(n=n, quantiles=(Quantile(p=0.5, value=median), Quantile(p=0.9, value=p90)))


TOTAL = Row(
    name="total",
    requests=200,
    succeeded=200,
    errors=0,
    unfinished=0,
    share=1.0,
    input_tokens=20_000,
    output_tokens=20_000,
    cached_tokens=0,
    output_tokens_per_s=None,
    total_tokens_per_s=None,
    requests_per_s=None,
    goodput_per_s=None,
    attainment=None,
    ttft_s=values(0.05),
    tpot_s=values(0.01),
    gap_s=NOTHING,
    e2e_s=NOTHING,
    ttft_dispatched_s=NOTHING,
    e2e_dispatched_s=NOTHING,
    normalized_s=NOTHING,
    user_rate_per_s=NOTHING,
    max_stall_s=NOTHING,
    fluidity=NOTHING,
)
SUMMARY = Summary(
    total=TOTAL,
    replicas=(),
    whole=TOTAL,
    window=Window(start_s=0.0, end_s=50.0, steady=True),
    duration_s=50.0,
    latency_from="dispatched",
    objectives=Objectives(),
    imbalance=None,
    jain=None,
    little=LITTLE,
    ttft_trend=None,
    in_flight_trend=None,
    client=CLIENT,
    errors={},
    error_examples={},
)
RESULT = BenchResult(
    endpoints=("http://127.0.0.1:1",),
    model="m",
    workload=Workload(),
    load=Load(concurrency=8),
    requests=200,
    simulated=False,
    exact_prompts=True,
    started_at="2026-01-01T00:00:00+00:00",
    interrupted=False,
    warmup=(),
    records=(),
)
OPEN_LOOP = Load(concurrency=None, arrivals=Constant(4.0))


def verdict(
    result: dict[str, Any] | None = None,
    summary: dict[str, Any] | None = None,
    total: dict[str, Any] | None = None,
    client: dict[str, Any] | None = None,
) -> Verdict:
    """Judge a run that is valid but for what is given."""
    changed = replace(
        SUMMARY,
        total=replace(TOTAL, **(total or {})),
        client=replace(CLIENT, **(client or {})),
        **(summary or {}),
    )
    return judge(replace(RESULT, **(result or {})), changed)


def second(start_s: float, *, loop_lag_s: float, cpu_share: float = 0.5) -> ClientSecond:
    return ClientSecond(
        worker=0,
        start_s=start_s,
        loop_lag_s=loop_lag_s,
        cpu_share=cpu_share,
        run_queue_s=0.25,
        gc_s=0.0,
    )


def test_run_without_a_fault_is_valid_and_says_why() -> None:
    found = verdict()

    assert found.kind is Kind.VALID
    assert found.reasons == (
        "at p99 chunks were read 0.2 ms after they came and requests left 1 ms late, "
        "of 1 ms and 10 ms allowed",
    )


# The client


@pytest.mark.parametrize(
    ("lag_s", "ttft_s", "tpot_s", "kind"),
    [
        # At least 1 ms is allowed, else 1 % of the larger median: here of 0.05 and 0.01 s.
        (0.000_9, 0.05, 0.01, Kind.VALID),
        (0.001, 0.05, 0.01, Kind.CLIENT_BOUND),
        # 1 % of 2 s
        (0.019, 2.0, 0.01, Kind.VALID),
        (0.020, 2.0, 0.01, Kind.CLIENT_BOUND),
        # 1 % of 0.5 s
        (0.004_9, 0.05, 0.5, Kind.VALID),
        (0.005, 0.05, 0.5, Kind.CLIENT_BOUND),
    ],
)
def test_client_that_reads_late_is_what_was_measured(
    lag_s: float, ttft_s: float, tpot_s: float, kind: Kind
) -> None:
    total = {"ttft_s": values(ttft_s), "tpot_s": values(tpot_s)}

    assert verdict(total=total, client={"read_lag_p99_s": lag_s}).kind is kind


def test_late_client_says_how_busy_it_was() -> None:
    seconds = (second(1.0, loop_lag_s=0.0, cpu_share=0.98),)
    found = verdict({"client": seconds}, client={"read_lag_p99_s": 0.012})

    assert found.reasons == (
        "the client read chunks 12 ms after they came (p99), less than 1 ms is allowed; "
        "in its worst second it used 98% of a core, or waited 25% for one",
    )
    assert found.numbers["lag_limit_s"] == 0.001


def test_without_stamps_the_event_loop_is_the_witness() -> None:
    late = tuple(second(float(i), loop_lag_s=0.02) for i in range(5))

    assert verdict({"client": late}, client={"read_lag_p99_s": None}).kind is Kind.CLIENT_BOUND
    assert verdict({"client": late}).kind is Kind.VALID


def test_event_loop_is_judged_by_its_usual_second_within_the_window() -> None:
    seconds = (
        second(-1.0, loop_lag_s=0.5),
        second(1.0, loop_lag_s=0.0),
        second(2.0, loop_lag_s=0.3),
        second(3.0, loop_lag_s=0.0),
        second(60.0, loop_lag_s=0.5),
    )
    found = verdict({"client": seconds}, client={"read_lag_p99_s": None})

    assert (found.kind, found.numbers["loop_lag_s"]) == (Kind.VALID, 0.0)


def test_without_stamps_the_mock_is_a_witness_too() -> None:
    off = replace(CALIBRATION, gap_p99_error_s=0.002)

    found = verdict({"calibration": off}, client={"read_lag_p99_s": None})
    assert found.kind is Kind.CLIENT_BOUND
    assert "2 ms off" in found.reasons[0]
    assert verdict({"calibration": off}).kind is Kind.VALID


@pytest.mark.parametrize(("delay_s", "kind"), [(0.0099, Kind.VALID), (0.01, Kind.CLIENT_BOUND)])
def test_client_that_sends_late_is_what_was_measured(delay_s: float, kind: Kind) -> None:
    assert verdict(client={"send_delay_p99_s": delay_s}).kind is kind


@pytest.mark.parametrize(("sent", "kind"), [(3.96, Kind.VALID), (3.95, Kind.CLIENT_BOUND)])
def test_client_that_does_not_reach_the_planned_rate_is_what_was_measured(
    sent: float, kind: Kind
) -> None:
    client = {"requested_rate_per_s": 4.0, "achieved_rate_per_s": sent}

    assert verdict({"load": OPEN_LOOP}, client=client).kind is kind


def test_rate_that_a_cap_holds_down_is_no_fault_of_the_client() -> None:
    load = Load(concurrency=8, arrivals=Constant(4.0))
    client = {"requested_rate_per_s": 4.0, "achieved_rate_per_s": 2.0}

    assert verdict({"load": load}, client=client).kind is Kind.VALID


# The load


@pytest.mark.parametrize(
    ("slope_per_s", "p_value", "kind"),
    [
        # 8 in flight over 50 s: 0.08 a second is half of the mean.
        (0.081, 0.001, Kind.OVERLOADED),
        (0.079, 0.001, Kind.VALID),
        (0.081, 0.05, Kind.VALID),
        (-0.2, 0.001, Kind.VALID),
    ],
)
def test_open_loop_whose_backlog_grows_is_overloaded(
    slope_per_s: float, p_value: float, kind: Kind
) -> None:
    trend = Trend(slope_per_s=slope_per_s, p_value=p_value)

    assert verdict(summary={"in_flight_trend": trend}).kind is kind


# The cache


@pytest.mark.parametrize(("cached", "kind"), [(200, Kind.VALID), (201, Kind.CONTAMINATED_CACHE)])
def test_cold_workload_that_a_cache_answers_in_part_is_contaminated(
    cached: int, kind: Kind
) -> None:
    assert verdict(total={"cached_tokens": cached}).kind is kind


@pytest.mark.parametrize(
    "workload",
    [
        Workload(prefixes=Prefixes(count=2, tokens=50)),
        Workload(turns=Turns(count=Lengths(3))),
    ],
)
def test_workload_that_shares_text_on_purpose_is_not_contaminated(workload: Workload) -> None:
    found = verdict({"workload": workload}, total={"cached_tokens": 9_000})

    assert (found.kind, found.numbers["cached_share"]) == (Kind.VALID, 0.45)


# The sample


def test_sample_that_does_not_carry_a_p90_is_too_small() -> None:
    found = verdict(total={"ttft_s": values(0.05, n=20, p90=None)})

    assert found.kind is Kind.TOO_FEW_SAMPLES
    assert found.reasons[0].startswith("20 requests do not carry a p90")


def test_run_without_a_steady_window_is_too_short() -> None:
    window = Window(start_s=0.0, end_s=5.0, steady=False)

    assert verdict(summary={"window": window}).kind is Kind.TOO_FEW_SAMPLES


def test_run_without_an_answer_says_only_that() -> None:
    empty = {"succeeded": 0, "ttft_s": NOTHING, "tpot_s": NOTHING, "input_tokens": 0}
    nobody = {"send_delay_p99_s": None, "read_lag_p99_s": None}
    found = verdict(summary={"little": None}, total=empty, client=nobody)

    assert (found.kind, found.reasons) == (Kind.TOO_FEW_SAMPLES, ("no request was answered",))


# Several at once


def test_of_several_faults_the_most_serious_is_the_verdict_and_all_are_told() -> None:
    found = verdict(
        total={"cached_tokens": 9_000, "ttft_s": values(0.05, n=20, p90=None)},
        client={"read_lag_p99_s": 0.5},
    )

    assert found.kind is Kind.CLIENT_BOUND
    words = ("read chunks", "prefix cache", "do not carry")
    assert [word in reason for word, reason in zip(words, found.reasons, strict=True)] == [True] * 3


def test_numbers_have_what_the_rules_rest_on_and_leave_out_what_is_unknown() -> None:
    found = verdict({"calibration": CALIBRATION})

    assert found.numbers["read_lag_p99_s"] == 0.0002
    assert found.numbers["send_delay_limit_s"] == 0.01
    assert found.numbers["calibration_gap_p99_error_s"] == 0.0003
    assert "achieved_share" not in found.numbers
    assert "loop_lag_s" not in found.numbers
