"""From the steps of one replica to what a layout does under a load."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.planner.layouts import Layout
from replicore.planner.plan import COSTS, Service
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Lengths, Load, Question, Slo, StaticLengths
from replicore.planner.serving.curves import Curve, Curves
from replicore.planner.serving.service import Latency, service_of
from tests.unit.planner.questions import question

LAYOUT = Layout(replicas=2, tp=2, batch_size=64)


def curve(asked: Question, layout: Layout = LAYOUT) -> Curve:
    return Curves(asked, uncalibrated(), [layout]).of(layout)


def served(asked: Question, layout: Layout = LAYOUT, kv_tokens: int | None = None) -> Service:
    return service_of(asked, layout, curve(asked, layout), kv_tokens)


def request_s(service: Service, asked: Question) -> float:
    assert service.ttft_s is not None
    return service.ttft_s.value + service.tpot_s.value * (asked.output_tokens.mean - 1)


def test_a_closed_loop_obeys_littles_law() -> None:
    asked = question(load=Load(concurrency=32))
    service = served(asked)
    requests_per_s = service.tokens_per_s.value / asked.output_tokens.mean

    # in flight = rate x time, 32 over both replicas
    assert requests_per_s * request_s(service, asked) == pytest.approx(32)


def test_requests_beyond_the_slots_wait_and_add_no_tokens() -> None:
    full, over = (served(question(load=Load(concurrency=n))) for n in (128, 512))

    assert over.tokens_per_s.value == pytest.approx(full.tokens_per_s.value)
    assert over.ttft_s is not None
    assert full.ttft_s is not None
    assert over.ttft_s.value > 2 * full.ttft_s.value
    assert over.shares["queue"] > full.shares["queue"]


def test_the_waiting_of_a_closed_loop_obeys_littles_law_too() -> None:
    asked = question(load=Load(concurrency=512))
    service = served(asked)

    requests_per_s = service.tokens_per_s.value / asked.output_tokens.mean
    assert requests_per_s * request_s(service, asked) == pytest.approx(512)


def test_a_kv_cache_that_holds_less_than_the_slots_limits_what_runs() -> None:
    # 1024 + 256 / 2 tokens of a request at a time
    service = served(question(), kv_tokens=10 * 1152)

    assert service.running == pytest.approx(10)
    assert service.notes == ("the KV cache holds 10 requests at a time of the 64 slots",)


@pytest.mark.parametrize(
    ("padded", "notes"),
    [
        (None, ()),
        (1100.0, ()),
        (2048.0, ("prompts of 1024 tokens take as long as the 2048 they are padded to",)),
    ],
)
def test_prompts_that_are_padded_by_much_are_noted(
    padded: float | None, notes: tuple[str, ...]
) -> None:
    assert served(question(static=StaticLengths(prompt_tokens=padded))).notes == notes


def test_without_a_load_every_slot_is_taken() -> None:
    assert served(question()).running == 64
    assert served(question()).utilisation == 1


def test_fewer_requests_than_replicas_leave_some_idle() -> None:
    service = served(question(load=Load(concurrency=1)))

    assert service.running == 1
    assert service.notes == ("1 replica has no request",)


def test_costs_of_a_request_add_up() -> None:
    service = served(question())

    for shares in (service.shares, service.tpot_shares, service.ttft_shares):
        assert tuple(shares) == COSTS
        assert sum(shares.values()) == pytest.approx(1)
    assert service.shares[service.binding] == max(service.shares.values())


def test_at_a_low_rate_there_is_no_queue_and_tokens_are_those_that_arrive() -> None:
    asked = question(load=Load(rate_per_s=0.01))
    service = served(asked)

    assert service.tokens_per_s.value == pytest.approx(0.01 * 256)
    assert service.utilisation < 0.01
    assert service.running < 1
    zero_load = curve(asked).at(1)
    assert service.tpot_s.value == pytest.approx(zero_load.tpot_s)
    assert service.ttft_s is not None
    assert service.ttft_s.value == pytest.approx(float(zero_load.ttft_steady_s.sum()), rel=1e-3)


def test_arrivals_obey_littles_law_below_saturation() -> None:
    most = curve(question()).rate_at(64)
    asked = question(load=Load(rate_per_s=2 * 0.5 * most))
    service = served(asked)

    each = 0.5 * most
    decode = service.tpot_s.value * (asked.output_tokens.mean - 1)
    steady = float(curve(asked).at(service.running).ttft_steady_s.sum())
    assert service.running == pytest.approx(each * (steady + decode), rel=0.02)


def test_a_ttft_is_not_told_above_nine_tenths_of_what_can_be_done() -> None:
    most = 2 * curve(question()).rate_at(64)

    below = served(question(load=Load(rate_per_s=0.89 * most)))
    above = served(question(load=Load(rate_per_s=0.91 * most)))

    assert below.ttft_s is not None
    assert (above.ttft_s, above.ttft_p99_s) == (None, None)
    assert above.goodput_per_s == 0
    assert above.notes == ("at 91% utilisation TTFT cannot be told",)
    assert above.meets < 0.5 < below.meets


def test_more_than_can_be_done_is_said_so() -> None:
    most = 2 * curve(question()).rate_at(64)

    service = served(question(load=Load(rate_per_s=3 * most)))

    assert service.tokens_per_s.value == pytest.approx(most * 256)
    assert service.notes == ("3.00 times as much arrives as it can do",)


def test_utilisation_grows_with_the_rate_and_so_does_the_wait() -> None:
    most = 2 * curve(question()).rate_at(64)
    found = [served(question(load=Load(rate_per_s=part * most))) for part in (0.2, 0.5, 0.8)]

    assert [each.utilisation for each in found] == pytest.approx([0.2, 0.5, 0.8])
    waits = [each.ttft_s.value for each in found if each.ttft_s is not None]
    assert waits == sorted(waits)


def test_one_queue_over_all_replicas_waits_less_than_one_each() -> None:
    most = 2 * curve(question()).rate_at(4)
    layout = replace(LAYOUT, batch_size=4)
    load = Load(rate_per_s=0.85 * most)
    found = {
        routing: served(question(load=load, routing=routing), layout).ttft_s
        for routing in ("least_work", "round_robin", "random")
    }

    least, robin, random = (found[name] for name in ("least_work", "round_robin", "random"))
    assert least is not None
    assert robin is not None
    assert random is not None
    assert least.value < robin.value < random.value


def test_goodput_is_the_requests_that_are_within_every_limit() -> None:
    easy = served(question(slo=Slo(ttft_p99_s=1e3, tpot_p99_s=1e3)))
    hard = served(question(slo=Slo(tpot_p99_s=1e-6)))

    assert easy.goodput_per_s == pytest.approx(easy.tokens_per_s.value / 256)
    assert hard.goodput_per_s == pytest.approx(0)
    assert easy.meets == pytest.approx(1)
    assert hard.meets == pytest.approx(0)


def test_half_of_the_requests_are_within_a_limit_at_the_median() -> None:
    latency = Latency(mean_s=0.05, log_sd=0.1, spread=0.2)

    assert latency.share_within(0.05) == pytest.approx(0.5)
    assert latency.chance_of_p99(latency.p99.value) == pytest.approx(0.5)
    assert latency.share_within(None) == 1


def test_longer_and_shorter_prompts_spread_ttft() -> None:
    same, mixed = (
        served(question(load=Load(concurrency=2), input_tokens=Lengths(mean=1024, stddev=stddev)))
        for stddev in (0, 512)
    )

    assert same.ttft_s == mixed.ttft_s
    assert same.ttft_p99_s is not None
    assert mixed.ttft_p99_s is not None
    assert mixed.ttft_p99_s.value > same.ttft_p99_s.value
