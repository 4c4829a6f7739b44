"""How evenly requests are spread over replicas. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def imbalance(counts: Sequence[int]) -> float | None:
    """Largest count over the mean: 1 is even, ``len(counts)`` is all on one; None below two."""
    total = sum(counts)
    if len(counts) < 2 or not total:
        return None
    return max(counts) * len(counts) / total


def jain(counts: Sequence[int]) -> float | None:
    """Jain's fairness index: 1 is even, 1 / N is all on one; None below two.

    jain = (sum of x)^2 / (N sum of x^2)

    Source: Jain, Chiu and Hawe 1984.
    """
    squares = sum(count**2 for count in counts)
    if len(counts) < 2 or not squares:
        return None
    return float(sum(counts) ** 2 / (len(counts) * squares))
