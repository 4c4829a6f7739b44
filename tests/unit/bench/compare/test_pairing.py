"""Requests of two runs, brought together where they are the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.bench.compare.meaning import Metric
from replicore.bench.compare.measured import of_rate
from replicore.bench.compare.pairing import Pairing
from tests.unit.bench.compare.runs import reading, run

FIRST = reading([1.0, 2.0, 3.0, 4.0, 5.0])
SECOND = reading([50.0, None, 30.0, 20.0, 10.0])


def paired(keys: list[int], workload: object = "w") -> Pairing:
    first = run({Metric.TTFT: FIRST}, workload="w", keys=range(5))
    return Pairing(first, run({Metric.TTFT: SECOND}, workload=workload, keys=keys))


def test_values_of_one_workload_are_brought_into_the_baselines_order() -> None:
    values = paired([4, 3, 2, 1, 0]).values(FIRST, SECOND)

    # Request 3 has no second value.
    assert values is not None
    assert values[0].tolist() == [1.0, 2.0, 3.0, 5.0]
    assert values[1].tolist() == [10.0, 20.0, 30.0, 50.0]


def test_requests_that_only_one_run_has_are_left_out() -> None:
    pairing = paired([0, 1, 2, 3, 9])
    values = pairing.values(FIRST, reading([10.0, 20.0, 30.0, 40.0, 90.0]))

    assert pairing.paired
    assert values is not None
    assert values[1].tolist() == [10.0, 20.0, 30.0, 40.0]


@pytest.mark.parametrize(
    ("keys", "workload"), [([0, 1, 2, 3, 4], "other"), ([0, 1, 2, 8, 9], "w"), ([], "w")]
)
def test_other_workloads_and_few_common_requests_are_not_paired(
    keys: list[int], workload: str
) -> None:
    assert not paired(keys, workload).paired


def test_unknown_workloads_are_not_paired() -> None:
    assert not Pairing(run(keys=[0]), run(keys=[0])).paired


def test_unpaired_runs_have_no_values_together() -> None:
    assert paired([0, 1, 2, 3, 4], "other").values(FIRST, SECOND) is None


def test_requests_that_were_not_seen_to_their_end_forbid_pairs() -> None:
    assert paired([0, 1, 2, 3, 4]).values(FIRST, replace(SECOND, censored=1)) is None


def test_a_summary_has_no_values() -> None:
    summary = of_rate("x", 1.0)
    assert summary is not None

    assert paired([0, 1, 2, 3, 4]).values(FIRST, summary) is None


@pytest.mark.parametrize(("first", "second", "block"), [(8, 4, 10), (8, 64, 64), (None, None, 10)])
def test_a_block_is_as_long_as_requests_may_depend_on_each_other(
    first: int | None, second: int | None, block: int
) -> None:
    assert Pairing(run(concurrency=first), run(concurrency=second)).block == block
