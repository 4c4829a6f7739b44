from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.bench_accuracy.reading import Errors, NoResult, read_errors
from benchmarks.bench_accuracy.report import Figures, Target, median, rows_of, targets_of, text
from benchmarks.bench_accuracy.tokenizer import write_tokenizer
from benchmarks.bench_accuracy.tools import OURS, RECORDS, Fields, Tool
from replicore.bench.record import RequestRecord
from replicore.bench.selfcheck.against_mock import Truth
from replicore.bench.selfcheck.mock.server import Plan
from replicore.bench.selfcheck.selftest import TurnsRow

PLAN = Plan(ttft_s=0.05, itl_s=0.01)
TRUTH = Truth(ttft_p50_s=0.05, ttft_p99_s=0.06, gap_p99_s=0.02)
FIELDS = Fields(ttft_p50=("ttft", 0), ttft_p99=("ttft", 1), itl_p99=("itl",))


def tool(name: str = "other", fields: Fields | None = FIELDS, result: str = "*.json") -> Tool:
    return Tool(name=name, program=(), options=lambda _: [], result=result, note="", fields=fields)


def read(folder: Path, document: object, fields: Fields = FIELDS) -> dict[str, Errors]:
    (folder / "a.json").write_text(json.dumps(document))
    return read_errors(tool(fields=fields), folder, TRUTH, PLAN)


def test_errors_of_another_tool_are_its_fields_less_what_was_sent(tmp_path: Path) -> None:
    (errors,) = read(tmp_path, {"ttft": [51.0, 70.0], "itl": 23.0}).values()

    assert errors.ttft_p50_ms == pytest.approx(1.0)
    assert errors.ttft_p99_ms == pytest.approx(10.0)
    assert errors.itl_p99_ms == pytest.approx(3.0)


def test_itl_that_is_not_of_gaps_is_held_against_the_plan(tmp_path: Path) -> None:
    fields = Fields(ttft_p50=("t",), ttft_p99=("t",), itl_p99=("itl",), itl_of="means", scale=1.0)
    (errors,) = read(tmp_path, {"t": 0.05, "itl": 0.0125}, fields).values()

    assert errors.itl_p99_ms == pytest.approx(2.5)


@pytest.mark.parametrize("document", [{}, {"ttft": []}, {"ttft": [None, None], "itl": 1}, []])
def test_result_without_the_numbers_says_where_they_are_missing(
    tmp_path: Path, document: object
) -> None:
    with pytest.raises(NoResult, match=r"a\.json has no number at ttft\.0"):
        read(tmp_path, document)


def test_tool_without_a_result_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoResult, match="no result file"):
        read_errors(tool(), tmp_path, TRUTH, PLAN)


def test_ours_has_a_row_by_stamps_and_one_as_read(tmp_path: Path) -> None:
    record = RequestRecord(
        index=0,
        endpoint="http://127.0.0.1:1",
        replica="127.0.0.1:1",
        input_tokens_asked=1,
        output_tokens_asked=2,
        intended_s=0.0,
        dispatched_s=0.0,
        ended_s=0.1,
        chunk_times_s=(0.05, 0.07),
        chunk_lags_s=(0.001, 0.002),
    )
    line = msgspec.json.encode({"warmup": False, **msgspec.to_builtins(record)})
    (tmp_path / RECORDS).write_bytes(line + b"\n")
    found = read_errors(tool(OURS, None, RECORDS), tmp_path, TRUTH, PLAN)

    assert list(found) == [OURS, f"{OURS}, as read"]
    assert [errors.ttft_p50_ms for errors in found.values()] == pytest.approx([0.0, 1.0])
    assert [errors.itl_p99_ms for errors in found.values()] == pytest.approx([0.0, 1.0])


def test_rows_have_the_median_of_the_runs_that_have_a_figure() -> None:
    runs: list[Figures] = [{"a": 1.0, "b": None}, {"a": 3.0, "b": 5.0}, {"a": 2.0, "b": None}]

    assert rows_of({("x", 7): runs}) == [{"tool": "x", "streams": 7, "runs": 3, "a": 2.0, "b": 5.0}]
    assert median([{"b": None}], "b") is None


def test_text_has_a_line_for_each_row_below_the_names() -> None:
    lines = text([{"tool": "x", "a": 1.0}, {"tool": "longer", "a": None}]).splitlines()

    assert [line.split() for line in lines] == [["tool", "a"], ["x", "1.000"], ["longer", "None"]]
    assert len({len(line) for line in lines}) == 1
    assert text([]) == ""


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("a", 2.0, 2.0), True),
        (Target("a", 2.0, 2.1), False),
        (Target("a", 0.99, 0.99, at_least=True), True),
        (Target("a", 0.99, 0.98, at_least=True), False),
        (Target("a", 1.0, None), None),
    ],
)
def test_target_is_met_at_its_limit(target: Target, met: bool | None) -> None:
    assert target.row["met"] is met


def test_targets_hold_the_size_of_an_error_and_not_its_sign() -> None:
    runs = [{"ttft_p50_ms": -6.0, "itl_p99_ms": 0.5, "first_request_s": 0.25}]
    rows = targets_of({("replicore, as read", 1): runs}, [], [], [])

    assert [(row["value"], row["met"]) for row in rows] == [(6.0, False), (0.5, True)]


def test_targets_have_how_far_two_mocks_are_apart() -> None:
    turns = [TurnsRow(asked=5, arrived=(3, 2)), TurnsRow(asked=5, arrived=(4, 1))]

    assert targets_of({}, [], [], turns)[0]["value"] == 3.0


def test_tokenizer_has_a_token_for_every_byte_and_one_for_the_end(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path / "tokenizer")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())

    assert len(set(tokenizer["model"]["vocab"].values())) == 257
    assert tokenizer["added_tokens"][0]["id"] == 256
