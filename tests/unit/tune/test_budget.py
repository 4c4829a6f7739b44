"""What a budget says, and when it is spent."""

from __future__ import annotations

import pytest

from replicore.errors import ConfigError
from replicore.tune.budget import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("6", Budget(runs=6)),
        ("20m", Budget(seconds=1200.0)),
        ("6,20m", Budget(runs=6, seconds=1200.0)),
        (" 1.5h , 3 ", Budget(runs=3, seconds=5400.0)),
    ],
)
def test_budget_is_runs_or_time_or_both(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    ("runs", "seconds", "said"),
    [
        (0, 0.0, ""),
        (5, 1199.0, ""),
        (6, 0.0, "the budget of 6 runs is spent"),
        (0, 1200.0, "the budget of 20m is spent"),
    ],
)
def test_budget_is_spent_when_either_limit_is_reached(runs: int, seconds: float, said: str) -> None:
    assert Budget(runs=6, seconds=1200.0).spent(runs=runs, seconds=seconds) == said


def test_budget_without_limits_is_never_spent() -> None:
    assert Budget().spent(runs=1_000_000, seconds=1e9) == ""
    assert str(Budget()) == "no limit"


def test_budget_is_written_as_people_read_it() -> None:
    assert str(Budget(runs=1, seconds=90.0)) == "1 run or 90s"


# SAD PATH


@pytest.mark.parametrize("text", ["", "0", "-1", "soon", "0s", "6,", "10001", "٣"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--budget: .* is no "):
        parse_budget(text)


@pytest.mark.parametrize("text", ["6,7", "1m,2m"])
def test_limit_that_is_named_twice_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names one limit twice"):
        parse_budget(text)
