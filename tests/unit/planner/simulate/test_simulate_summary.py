"""Three requests on one replica, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.engines.sim.steptime import StepTime
from replicore.errors import ConfigError, UndefinedMetric
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import OpenLoop, Requests
from replicore.planner.simulate.model import FleetModel, Outage, ReplicaModel
from replicore.planner.simulate.outcome import Outcome
from replicore.planner.simulate.summary import Slo, summarise, tpot_s

# A prompt takes 1 s, and each further token 0.5 s.
REPLICA = ReplicaModel(steps=StepTime(decode_s=0.5, prefill_s=1.0), slots=1)


def three(*outages: Outage) -> Outcome:
    """First tokens at 1, 4 and 7; ends at 3, 4 and 9."""
    requests = Requests(input_tokens=np.full(3, 10), output_tokens=np.array([5, 1, 5]))
    fleet = FleetModel(replicas=(REPLICA,), outages=outages)
    return simulate(fleet, OpenLoop(np.array([0.0, 2.0, 6.0])), requests)


def test_latencies_are_from_the_arrival() -> None:
    found = summarise(three())

    assert found.ttft.mean == pytest.approx((1 + 2 + 1) / 3)
    assert found.ttft.p50 == 1.0
    assert found.wait.mean == pytest.approx((0 + 1 + 0) / 3)
    assert found.e2e.mean == pytest.approx((3 + 2 + 3) / 3)


def test_time_per_output_token_is_undefined_for_one_token() -> None:
    assert tpot_s(three()).tolist() == pytest.approx([0.5, np.nan, 0.5], nan_ok=True)
    assert summarise(three()).tpot.p99 == 0.5


def test_rates_are_over_the_time_from_first_arrival_to_last_end() -> None:
    found = summarise(three())

    assert found.window_s == 9.0
    assert found.output_tokens_per_s == pytest.approx(11 / 9)
    assert found.requests_per_s == pytest.approx(3 / 9)
    # Idle from 4 to 6.
    assert found.utilisation == pytest.approx(7 / 9)


def test_littles_law_gives_the_mean_latency() -> None:
    found = summarise(three())

    assert found.in_flight == pytest.approx(8 / 9)
    assert found.little_s == pytest.approx(8 / 3)


def test_goodput_counts_requests_that_keep_every_limit() -> None:
    found = summarise(three(), slo=Slo(ttft_s=1.5, tpot_s=0.5))
    slow = summarise(three(), slo=Slo(ttft_s=1.5, tpot_s=0.4))

    assert (found.met, found.goodput_per_s) == pytest.approx((2 / 3, 2 / 9))
    assert slow.met == 0.0


def test_request_of_one_token_meets_any_time_per_token() -> None:
    assert summarise(three(), slo=Slo(tpot_s=0.1)).met == pytest.approx(1 / 3)


def test_limit_on_the_whole_latency_counts() -> None:
    assert summarise(three(), slo=Slo(e2e_s=2.5)).met == pytest.approx(1 / 3)


def test_warm_up_is_left_out() -> None:
    found = summarise(three(), after_s=1.5)

    assert found.requests == 2
    assert found.ttft.mean == pytest.approx(1.5)
    # Of the first request's four later tokens, from 1 to 3, three quarters; then 1 and 5.
    assert found.window_s == pytest.approx(7.5)
    assert found.output_tokens_per_s == pytest.approx((3 + 6) / 7.5)


def test_window_may_end_before_the_run() -> None:
    found = summarise(three(), until_s=5.0)

    assert (found.requests, found.window_s) == (2, 5.0)
    assert found.output_tokens_per_s == pytest.approx(6 / 5)


def test_requests_that_were_not_served_are_counted() -> None:
    found = summarise(three(Outage(0, 5.0, float("inf"))))

    assert (found.requests, found.unserved) == (3, 1)
    assert found.met == pytest.approx(2 / 3)


def test_window_without_a_request_is_refused() -> None:
    with pytest.raises(ConfigError, match="no request came from 50 s to inf s of the run"):
        summarise(three(), after_s=50.0)


def test_run_without_a_served_request_has_no_latencies() -> None:
    with pytest.raises(UndefinedMetric, match="no request was served"):
        summarise(three(Outage(0, 0.5, float("inf"))))
