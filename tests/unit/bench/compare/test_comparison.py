"""Whole comparisons."""

from __future__ import annotations

from dataclasses import replace

from replicore.bench.compare.comparison import Line, compare, name_of
from replicore.bench.compare.meaning import (
    EVENTS_AS_TOKENS,
    OWN_TOKENIZER,
    STREAM_END,
    Metric,
    Sameness,
)
from tests.unit.bench.compare.runs import latencies, rate, reading, run

BASE = run({Metric.TTFT: reading(latencies(0.2)), Metric.OUTPUT_RATE: rate(10.0, 9.0, 11.0)})


def line(lines: object, metric: Metric, statistic: str) -> Line:
    assert isinstance(lines, list)
    (found,) = [it for it in lines if (it.metric, it.statistic) == (metric, statistic)]
    assert isinstance(found, Line)
    return found


def test_every_run_is_compared_with_the_first() -> None:
    found = compare([BASE, BASE, BASE])

    assert [pair.names for pair in found.pairs] == [("A", "B"), ("A", "C")]


def test_names_go_on_behind_z() -> None:
    assert [name_of(place) for place in (0, 25, 26, 53)] == ["A", "Z", "A1", "B2"]


def test_a_clear_difference_is_marked() -> None:
    second = run({Metric.TTFT: reading(latencies(0.1, seed=2))})
    (pair,) = compare([BASE, second]).pairs

    found = line(pair.lines, Metric.TTFT, "p50")
    assert found.clear
    assert found.first is not None
    assert found.judged.ratio is not None


def test_a_difference_by_chance_is_not_marked() -> None:
    second = run({Metric.TTFT: reading(latencies(0.2, seed=2))})
    (pair,) = compare([BASE, second]).pairs

    assert not any(it.clear for it in pair.lines)


def test_a_difference_that_is_clear_alone_is_not_among_many() -> None:
    # The rates differ with a p-value of about 3 %: one such is to be expected among many.
    rates = Metric.OUTPUT_RATE, Metric.TOTAL_RATE, Metric.REQUESTS_RATE
    slow, fast = rate(10.0, 9.0, 11.0), rate(11.7, 10.6, 12.9)
    (alone,) = compare([BASE, run({Metric.OUTPUT_RATE: fast})]).pairs
    (many,) = compare([run(dict.fromkeys(rates, slow)), run(dict.fromkeys(rates, fast))]).pairs

    assert line(alone.lines, Metric.OUTPUT_RATE, "rate").clear
    assert not any(it.clear for it in many.lines)


def test_fields_that_mean_something_else_have_no_ratio_and_say_why() -> None:
    other = run({Metric.TTFT: reading(latencies(0.2), EVENTS_AS_TOKENS)})
    (pair,) = compare([BASE, other]).pairs

    assert pair.relations[Metric.TTFT].sameness is Sameness.DIFFERENT
    found = line(pair.lines, Metric.TTFT, "p50").judged
    assert found.value is None
    assert found.because == f"B {EVENTS_AS_TOKENS.says}"


def test_fields_that_mean_nearly_the_same_have_a_ratio() -> None:
    other = run({Metric.TTFT: reading(latencies(0.2), STREAM_END)})
    (pair,) = compare([BASE, other]).pairs

    assert pair.relations[Metric.TTFT].sameness is Sameness.NEARLY
    assert line(pair.lines, Metric.TTFT, "p50").judged.ratio is not None


def test_a_metric_of_one_run_is_listed_without_a_ratio() -> None:
    (pair,) = compare([BASE, run({Metric.TPOT: reading(latencies(0.1))})]).pairs

    assert pair.relations[Metric.TPOT].sameness is Sameness.ONE_SIDED
    found = line(pair.lines, Metric.TPOT, "p50")
    assert found.first is None
    assert found.second is not None
    assert found.judged.because == "A has no such number"


def test_a_metric_that_neither_tool_reports_is_not_listed() -> None:
    unreported = replace(reading(latencies(0.1)), aside=True)
    reported = reading(latencies(0.1))
    (without,) = compare([run({Metric.NORMALIZED: unreported})] * 2).pairs
    (beside,) = compare(
        [run({Metric.NORMALIZED: unreported}), run({Metric.NORMALIZED: reported})]
    ).pairs

    assert without.lines == []
    assert line(beside.lines, Metric.NORMALIZED, "p50").judged.ratio is not None


def test_an_obstacle_takes_the_ratios_of_its_metrics() -> None:
    opened = run(BASE.readings, closed=False)
    (pair,) = compare([BASE, opened]).pairs

    assert len(pair.obstacles) == 1
    assert all(it.judged.value is None for it in pair.lines)
    assert line(pair.lines, Metric.TTFT, "p50").judged.because == pair.obstacles[0].says


def test_tokens_of_two_tokenizers_are_not_compared() -> None:
    own = reading(latencies(0.1), OWN_TOKENIZER)
    first = run({Metric.TPOT: reading(latencies(0.1))}, output_tokens=20.0)
    (pair,) = compare([first, run({Metric.TPOT: own}, output_tokens=80.0)]).pairs

    found = line(pair.lines, Metric.TPOT, "p50").judged
    assert found.because == "B counts other tokens: on average 20 tokens in A and 80 in B"


def test_runs_of_the_same_requests_are_paired() -> None:
    values = latencies(0.2, 100)
    first = run({Metric.TTFT: reading(values)}, workload="w", keys=range(100))
    second = run({Metric.TTFT: reading(v * 1.01 for v in values)}, workload="w", keys=range(100))
    (pair,) = compare([first, second]).pairs

    # 1 % would be lost among requests that differ by 10 %.
    assert pair.paired
    assert line(pair.lines, Metric.TTFT, "mean").clear
