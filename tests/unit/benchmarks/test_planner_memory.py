from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.planner.memory import BARS, fit_sampler, lines, memory_report
from benchmarks.planner.memory_rows import launches, read_memory_rows

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "planner_memory_rows.csv"

HEADER = [
    *("row_id", "model", "hardware", "tp", "pp", "gpu_memory_utilization", "vllm_version"),
    *("weights_gib_per_rank", "activation_gib", "kv_pool_gib", "kv_tokens", "notes"),
]
GPU = "H100 (79.19 GiB visible)"
ROWS = [
    ["a", "Llama-3.1-8B", GPU, "1", "1", "0.95", "0.19", "14.99", "1.89", "58.11", "", ""],
    ["b", "Qwen3-8B", GPU, "1", "1", "0.95", "0.19", "15.27", "2.21", "", "", ""],
    ["c", "phi-4", GPU, "", "", "0.95", "0.19", "", "1.52", "", "", ""],
    ["d", "Llama-3.3-70B", GPU, "", "", "0.9", "0.11 era", "", "", "", "", "TP1 fails: why"],
    ["e", "nobody/knows", GPU, "1", "1", "0.9", "0.19", "1", "1", "", "", ""],
]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    return path


def held_out(path: Path) -> dict[str, float]:
    table = memory_report(path)["tables"]["activation, held out"]
    return {row["row"]: row["predicted"] for row in table["rows"]}


def test_rows_of_unknown_models_are_named(path: Path) -> None:
    assert memory_report(path)["unknown"] == ["e"]


def test_row_without_tp_has_the_least_that_its_weights_fit_on(path: Path) -> None:
    rows, _ = read_memory_rows(path)

    # 131 GiB on devices of 0.9 x 79
    assert {row.id: row.tp for row in rows} == {"a": 1, "b": 1, "c": 1, "d": 2}


def test_errors_are_of_predicted_over_measured(path: Path) -> None:
    table = memory_report(path)["tables"]["weights"]

    row = table["rows"][0]
    assert row["error_percent"] == pytest.approx(100 * (row["predicted"] / 14.99 - 1), abs=0.01)
    assert table["worst"] == max(abs(row["error_percent"]) for row in table["rows"])


def test_constants_are_fitted_without_the_model_that_is_predicted(path: Path) -> None:
    before = held_out(path)
    path.write_text(path.read_text().replace("14.99,1.89", "14.99,9.99"))
    after = held_out(path)

    assert before["a"] == after["a"]
    assert before["b"] != after["b"]


def test_fit_returns_the_constants_that_the_rows_were_made_with(path: Path) -> None:
    rows, _ = read_memory_rows(path)
    fitted = fit_sampler([row for row in rows if row.activation_gib is not None])

    assert fitted.logit_bytes == pytest.approx(14.8, rel=0.05)


def test_launches_are_the_rows_own_and_those_of_its_notes(path: Path) -> None:
    rows, _ = read_memory_rows(path)
    tried = [(each.row.id, each.tp, each.refused) for row in rows for each in launches(row)]

    assert tried == [("a", 1, False), ("d", 1, True)]


def test_lines_tell_each_table_with_its_bar(path: Path) -> None:
    text = "\n".join(lines(memory_report(path)))

    assert "worst at most 1: met" in text
    assert "launches judged as the engine did: 2 of 2" in text


@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"{PUBLISHED.name} is not in ../shared/data")
def test_published_rows_meet_every_bar() -> None:
    report = memory_report(PUBLISHED)

    for name, (figure, limit) in BARS.items():
        assert report["tables"][name][figure] <= limit
    assert all(each["refused_by_engine"] == each["refused_by_plan"] for each in report["refusals"])
    assert sum(each["refused_by_engine"] for each in report["refusals"]) == 3
