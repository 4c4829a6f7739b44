"""What is told of two numbers, and what is refused."""

from __future__ import annotations

from dataclasses import replace

from replicore.bench.compare.judging import Judged, Sides, judged
from replicore.bench.compare.meaning import Metric
from replicore.bench.compare.measured import RATE, Point, Reading, of_several, of_summary
from replicore.bench.compare.pairing import Pairing
from tests.unit.bench.compare.runs import latencies, rate, reading, run

FIRST, SECOND = reading(latencies(0.2)), reading(latencies(0.1, seed=2))


def sides(
    first: Reading | None, second: Reading | None, metric: Metric = Metric.TTFT
) -> dict[str, Judged]:
    return judged(
        Sides(
            metric=metric,
            readings=(first, second),
            names=("A", "B"),
            pairing=Pairing(run(), run()),
        )
    )


def summary(**points: float) -> Reading:
    found = of_summary("summary", points)
    assert found is not None
    return found


def test_values_of_both_give_ratios_of_mean_median_and_p99() -> None:
    found = sides(FIRST, SECOND)

    assert list(found) == ["mean", "p50", "p99"]
    ratio = found["p50"].ratio
    assert ratio is not None
    assert ratio.low < 0.5 < ratio.high
    assert ratio.improvement == 1.0
    assert found["p50"].because is None


def test_summaries_give_a_ratio_without_an_interval() -> None:
    found = sides(summary(p50=0.2), summary(p50=0.1))["p50"]

    assert found == Judged(value=0.5, because="A has no interval of it")


def test_a_metric_that_one_run_lacks_has_no_ratio() -> None:
    assert sides(None, SECOND)["p50"] == Judged(because="A has no such number")
    assert sides(FIRST, None)["p50"] == Judged(because="B has no such number")


def test_a_percentile_that_a_sample_does_not_carry_has_no_ratio() -> None:
    found = sides(summary(p50=0.2, p99=0.3), summary(p50=0.1))

    assert found["p99"] == Judged(because="B has no p99: its sample does not carry one")
    assert found["p50"].value == 0.5


def test_what_is_forbidden_is_not_computed() -> None:
    pairing = Pairing(run(), run())
    forbidden = Sides(
        metric=Metric.TTFT,
        readings=(FIRST, SECOND),
        names=("A", "B"),
        pairing=pairing,
        forbidden="not alike",
    )

    assert set(judged(forbidden).values()) == {Judged(because="not alike")}


def test_a_ratio_to_zero_is_not_told() -> None:
    found = sides(summary(p50=0.0), summary(p50=0.1))["p50"]

    assert found == Judged(because="it is 0 in A")


def test_gaps_have_a_ratio_with_an_interval_too() -> None:
    first = of_several("gaps", [[gap] * 3 for gap in latencies(0.2)], depth=8)
    second = of_several("gaps", [[gap] * 3 for gap in latencies(0.1, seed=2)], depth=8)
    found = sides(first, second, Metric.GAP)["p50"].ratio

    assert found is not None
    assert found.low < 0.5 < found.high


def test_rates_with_intervals_have_a_ratio_with_one() -> None:
    found = sides(rate(10.0, 9.0, 11.0), rate(30.0, 27.0, 33.0), Metric.OUTPUT_RATE)[RATE]

    assert found.ratio is not None
    assert found.ratio.improvement > 0.999


def test_rates_without_intervals_have_a_plain_ratio() -> None:
    found = sides(rate(10.0), rate(30.0), Metric.OUTPUT_RATE)[RATE]

    assert found.value == 3.0
    assert found.ratio is None
    assert found.because == "A has no interval of it"


def test_the_reported_numbers_are_what_a_plain_ratio_is_of() -> None:
    moved = replace(FIRST, points={"p50": Point(0.4)})

    assert sides(moved, replace(SECOND, points={"p50": Point(0.1)}))["p50"].value == 0.25
