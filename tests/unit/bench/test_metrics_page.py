"""docs/metrics.md defines what is written."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from replicore.bench.record import FailureKind
from replicore.bench.results import SCHEMA
from replicore.bench.stats.summary import Row
from replicore.bench.stats.tails import quantile_ranks

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
COUNTS = ["name", "requests", "succeeded", "errors", "unfinished", "share"]
TOKENS = ["input_tokens", "output_tokens", "cached_tokens"]


@pytest.mark.parametrize("kind", [k for k in FailureKind if k is not FailureKind.INTERRUPTED])
def test_metrics_page_explains_every_failure(kind: FailureKind) -> None:
    assert f"| `{kind}" in PAGE


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Row) if field.name not in (*COUNTS, *TOKENS)]
)
def test_metrics_page_defines_every_metric_of_a_row(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize(
    ("p", "least"), [(0.5, "6"), (0.9, "36"), (0.95, "72"), (0.99, "368"), (0.999, "3,688")]
)
def test_metrics_page_names_the_sizes_from_which_a_quantile_is_carried(
    p: float, least: str
) -> None:
    size = int(least.replace(",", ""))

    assert f"{least} for p{100 * p:g}" in PAGE
    assert quantile_ranks(size, p)[1] is not None
    assert quantile_ranks(size - 1, p)[1] is None


def test_metrics_page_names_the_schema() -> None:
    assert f"`{SCHEMA}`" in PAGE
