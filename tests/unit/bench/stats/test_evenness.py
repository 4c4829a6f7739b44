"""How evenly requests are spread."""

from __future__ import annotations

import pytest

from replicore.bench.stats.evenness import imbalance, jain


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([5, 5], 1.0), ([10, 0], 2.0), ([6, 3, 3], 1.5), ([7], None), ([], None), ([0, 0], None)],
)
def test_imbalance_is_the_largest_over_the_mean(counts: list[int], expected: float | None) -> None:
    assert imbalance(counts) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    # 12^2 / (3 (36 + 9 + 9)) = 144 / 162
    [([5, 5], 1.0), ([10, 0], 0.5), ([6, 3, 3], 144 / 162), ([7], None), ([0, 0], None)],
)
def test_jains_index_falls_to_one_over_the_replicas(
    counts: list[int], expected: float | None
) -> None:
    assert jain(counts) == pytest.approx(expected) if expected else jain(counts) is None
