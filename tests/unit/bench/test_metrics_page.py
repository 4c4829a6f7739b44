"""docs/metrics.md defines what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.bench.record import FailureKind
from replicore.bench.results import SCHEMA

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [k for k in FailureKind if k is not FailureKind.INTERRUPTED])
def test_metrics_page_explains_every_failure(kind: FailureKind) -> None:
    assert f"| `{kind}" in PAGE


@pytest.mark.parametrize("name", ["output_tokens_per_s", "total_tokens_per_s", "requests_per_s"])
def test_metrics_page_defines_every_rate(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_metrics_page_names_the_schema() -> None:
    assert f"`{SCHEMA}`" in PAGE
