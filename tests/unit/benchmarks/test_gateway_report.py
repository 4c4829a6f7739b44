"""From what the gateway's benchmark found to ratios: a wrong one would be published."""

from __future__ import annotations

import pytest

from benchmarks.gateway.report import OURS, TWO_WORKERS, rows_of, scaling_of, targets_of

CORES = {"router_cores": 1.0, "engines_cores": 0.3, "client_cores": 0.3}

UNUSED = {"rss_of_worker_mib": 1.0, "requests_per_s": 1.0}


def cpu(*us: float) -> dict[int, dict[str, float]]:
    return {number: {"cpu_per_request_us": value, **UNUSED} for number, value in enumerate(us)}


def test_a_row_has_the_median_of_the_runs() -> None:
    (row,) = rows_of({(OURS, "nostream"): cpu(50, 70, 90)})

    assert (row["router"], row["case"], row["runs"]) == (OURS, "nostream", 3)
    assert row["cpu_per_request_us"] == 70


def test_a_target_is_the_median_of_the_ratios_within_runs() -> None:
    found = {
        (OURS, "nostream"): cpu(10, 40, 90),
        ("vllm-router", "nostream"): cpu(100, 100, 100),
        ("sglang-router", "nostream"): cpu(200, 200, 200),
    }

    row, *_ = targets_of(found)

    assert (row["yardstick"], row["value"], row["met"]) == ("vllm-router", 0.4, True)
    assert (row["lowest"], row["highest"]) == (0.1, 0.9)


def test_a_target_counts_only_runs_that_measured_both() -> None:
    theirs = {0: {"cpu_per_request_us": 100.0}}

    (row,) = targets_of({(OURS, "large"): cpu(80, 10), ("vllm-router", "large"): theirs})

    assert (row["value"], row["met"]) == (0.8, False)


def test_scaling_says_what_was_possible_on_two_cores() -> None:
    one = {0: {"requests_per_s": 1000.0, **CORES}}
    two = {0: {"requests_per_s": 1200.0, **CORES}}

    (row,) = scaling_of({(OURS, "large"): one, (TWO_WORKERS, "large"): two}, OURS, TWO_WORKERS)

    assert (row["case"], row["speed_up"]) == ("large", 1.2)
    assert row["possible"] == pytest.approx(1.25)
