"""What makes two runs incomparable, and what must only be said."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.bench.compare.meaning import LATENCIES, OWN_TOKENIZER, Departure, Metric
from replicore.bench.compare.obstacles import alike, counted_apart, obstacles, remarks
from tests.unit.bench.compare.runs import reading, run

NAMES = ("A", "B")


def about(
    second: dict[str, Any], first: dict[str, Any] | None = None
) -> list[tuple[str, set[Metric]]]:
    found = obstacles(run(**first or {}), run(**second), NAMES)
    return [(it.says, set(it.metrics)) for it in found]


def test_equal_conditions_are_no_obstacle() -> None:
    assert about({}) == []
    assert remarks(run(), run(), NAMES) == []


def test_open_and_closed_loops_are_not_compared_at_all() -> None:
    ((says, metrics),) = about({"closed": False})

    assert says.startswith("A is a closed loop and B is not")
    assert metrics == set(Metric)


def test_an_unknown_loop_is_no_obstacle() -> None:
    assert about({"closed": None}) == []


def test_a_simulator_is_not_compared_with_an_engine() -> None:
    real, simulated = {"simulated": False}, {"simulated": True}

    assert about(simulated, real)[0][0] == "B is of a simulator, and the other of a real engine"
    assert about(simulated, simulated) == []


def test_a_simulator_beside_a_file_that_does_not_tell_is_a_remark() -> None:
    assert about({"simulated": True}) == []
    assert remarks(run(), run(simulated=True), NAMES) == ["B is of a simulator"]


@pytest.mark.parametrize(
    ("tokens", "departures", "because"),
    [
        (20.0, [OWN_TOKENIZER], None),
        (88.5, [], None),
        (
            88.5,
            [OWN_TOKENIZER],
            "B counts other tokens: on average 20 tokens in A and 88 in B",
        ),
    ],
)
def test_tokens_of_another_tokenizer_are_refused_where_answers_seem_longer(
    tokens: float, departures: list[Departure], because: str | None
) -> None:
    first = run({Metric.TPOT: reading([0.1])}, output_tokens=20.0)
    second = run({Metric.TPOT: reading([0.1], *departures)}, output_tokens=tokens)

    assert counted_apart(first, second, Metric.TPOT, NAMES) == because


def test_a_client_bound_run_is_not_compared() -> None:
    assert about({"verdict": "CLIENT-BOUND"}) == [
        ("B is CLIENT-BOUND: its numbers are of the client", set(Metric))
    ]


def test_an_overloaded_run_has_no_comparable_latencies_but_rates() -> None:
    ((says, metrics),) = about({"verdict": "OVERLOADED"})

    assert says == "B is OVERLOADED: its latencies depend on how long it ran"
    assert metrics == LATENCIES
    assert Metric.OUTPUT_RATE not in metrics


def test_a_contaminated_cache_counts_unless_both_have_it() -> None:
    cached = {"verdict": "CONTAMINATED-CACHE"}

    assert about(cached)[0][0] == "B is CONTAMINATED-CACHE, and the other is not"
    assert about(cached, cached) == []


def test_too_few_samples_are_no_obstacle() -> None:
    assert about({"verdict": "TOO-FEW-SAMPLES"}) == []


def test_other_input_lengths_take_what_depends_on_them() -> None:
    ((says, metrics),) = about({"input_tokens": 513.0}, {"input_tokens": 600.0})

    assert says == "it depends on the input length, on average 600 tokens in A and 513 in B"
    assert {Metric.TTFT, Metric.E2E, Metric.TOTAL_RATE} <= metrics
    assert not {Metric.TPOT, Metric.NORMALIZED, Metric.OUTPUT_RATE} & metrics


def test_other_output_lengths_take_what_depends_on_them() -> None:
    ((_, metrics),) = about({"output_tokens": 100.0}, {"output_tokens": 200.0})

    assert {Metric.E2E, Metric.NORMALIZED, Metric.REQUESTS_RATE} <= metrics
    assert not {Metric.TPOT, Metric.TTFT, Metric.OUTPUT_RATE} & metrics


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [(100, 90, True), (100, 89, False), (89, 100, False), (None, 5, True), (0, 5, True)],
)
def test_means_within_a_tenth_are_alike(
    first: float | None, second: float | None, same: bool
) -> None:
    assert alike(first, second) is same


def test_remarks_name_what_differs() -> None:
    first, second = run(rate_per_s=5.0), run(model="large", concurrency=16, rate_per_s=5.5)

    assert remarks(first, second, NAMES) == [
        "the model differs: tiny in A, large in B",
        "the concurrency differs: 8 in A, 16 in B",
        "the rate of requests differs: 5 a second in A, 5.5 a second in B",
    ]


def test_what_a_file_does_not_tell_does_not_differ() -> None:
    assert remarks(run(), run(model=None, concurrency=None), NAMES) == []


def test_remarks_tell_that_one_run_lost_requests() -> None:
    first, second = run(succeeded=100, failed=0), run(succeeded=90, failed=10)

    assert remarks(first, second, NAMES) == [
        "0.0% of the requests failed in A and 10.0% in B; latencies are of the others only"
    ]
    assert remarks(first, run(succeeded=100, failed=1), NAMES) == []
