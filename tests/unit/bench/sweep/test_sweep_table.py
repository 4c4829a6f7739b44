"""A sweep as tables on the terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table

from replicore.bench.sweep.table import cells_table, scaling_table, versus_table
from tests.unit.bench.sweep.made import findings, plan, repeats, run


def lines(table: Table | None) -> list[str]:
    assert table is not None
    file = io.StringIO()
    Console(file=file, width=140).print(table)
    return file.getvalue().splitlines()


def cells(table: Table | None, first: str) -> list[str]:
    """Return the cells of the row that begins with these words."""
    row = next(line for line in lines(table) if line.strip("│ ").startswith(first))
    return [cell.strip() for cell in row.strip("│").split("│")]


def test_cell_has_rate_latencies_share_errors_runs_and_front() -> None:
    slower = run("1x2", 80, ttft_s=[0.2] * 20)
    table = cells_table(findings([*repeats("2x1", [90, 100, 110]), slower]))

    # 60 requests do not carry a p99: it is at least the largest that they can bound.
    found = cells(table, "2x1")
    assert found[:3] == ["2x1", "4", "100"]
    assert found[3].startswith("100 / ")
    assert found[5:] == ["100%", "0", "3", "◆"]
    assert cells(table, "1x2")[-1] == ""


def test_rate_of_several_repeats_has_its_interval_below() -> None:
    assert any(
        "75.2–125" in line for line in lines(cells_table(findings(repeats("2x1", [90, 100, 110]))))
    )


def test_one_replica_alone_is_marked() -> None:
    of = plan("2x1", (8,), scaling=True)
    table = cells_table(findings([run("2x1", concurrency=8), run("1x1")], of=of))

    assert cells(table, "1x1")[0] == "1x1 (alone)"


def test_winner_is_compared_with_each_other_layout() -> None:
    runs = repeats("2x1", [150, 151, 149]) + repeats("1x2", [100, 101, 99])

    assert cells(versus_table(findings(runs)), "1x2")[:3] == ["1x2", "4", "1.50"]


def test_winner_of_one_run_each_has_no_interval() -> None:
    table = versus_table(findings([run("2x1", 150), run("1x2", 100)]))

    assert cells(table, "1x2") == ["1x2", "4", "1.50", "-", "-", "-"]


def test_winner_without_others_has_no_table() -> None:
    assert versus_table(findings([run()])) is None
    assert versus_table(findings([])) is None


def test_scaling_has_a_row_for_each_load() -> None:
    of = plan("2x1", (8,), scaling=True)
    runs = repeats("2x1", [180, 180, 180], concurrency=8) + repeats("1x1", [100, 100, 100])

    assert cells(scaling_table(findings(runs, of=of)), "2x1") == [
        "2x1",
        "8",
        "1x1",
        "4",
        "90% (90%–90%)",
    ]


def test_scaling_without_a_single_replica_has_no_table() -> None:
    assert scaling_table(findings([run()])) is None
