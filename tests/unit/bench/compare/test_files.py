"""Files: found, parsed, recognised, and complained of with their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replicore.bench.compare.files import read_runs
from replicore.bench.compare.meaning import Metric
from replicore.errors import ConfigError
from tests.unit.bench.compare.results import (
    aiperf,
    aiperf_line,
    guidellm,
    guidellm_benchmark,
    llmperf_summary,
    ours,
    record,
    response,
    vllm,
)


def written(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("document", "tool"),
    [
        (ours(), "replicore 1.0"),
        (llmperf_summary(), "LLMPerf"),
        (vllm(), "vllm bench serve"),
        (guidellm(guidellm_benchmark({"type_": "synchronous"})), "GuideLLM 0.5.0"),
        (aiperf(), "AIPerf 0.13.0"),
    ],
)
def test_each_tools_result_is_recognised(tmp_path: Path, document: Any, tool: str) -> None:
    (run,) = read_runs([written(tmp_path / "result.json", document)])

    assert (run.tool, run.name) == (tool, "result.json")


def test_bare_nan_of_llmperf_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x_summary.json", llmperf_summary())

    assert "NaN" in Path(path).read_text()
    assert read_runs([path])[0].readings[Metric.TTFT].points["p50"].value == 0.2


def test_responses_beside_a_summary_are_found(tmp_path: Path) -> None:
    written(tmp_path / "x_individual_responses.json", [response("main")])
    (run,) = read_runs([written(tmp_path / "x_summary.json", llmperf_summary())])

    assert run.tool == "LLMPerf (main)"


def test_records_beside_aiperfs_export_are_found(tmp_path: Path) -> None:
    written(tmp_path / "profile_export.jsonl", aiperf_line(1))
    (run,) = read_runs([written(tmp_path / "profile_export_aiperf.json", aiperf())])

    assert run.readings[Metric.TTFT].values is not None


@pytest.mark.parametrize("name", ["r.jsonl", "r.txt"])
def test_our_records_are_found_whatever_their_file_is_called(tmp_path: Path, name: str) -> None:
    document = ours(records_file=f"elsewhere/{name}")
    del document["records"]
    lines = [json.dumps(record(index)) for index in (19, 20)]
    (tmp_path / name).write_text("\n".join(lines))
    (run,) = read_runs([written(tmp_path / "bench.json", document)])

    assert run.keys == [(19, 0), (20, 0)]


def test_appended_results_are_runs_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_text(f"{json.dumps(vllm())}\n{json.dumps(vllm(max_concurrency=16))}")
    found = read_runs([str(path)])

    assert [run.name for run in found] == ["all.json#1", "all.json#2"]
    assert [run.conditions.concurrency for run in found] == [8, 16]


def test_one_run_of_a_file_can_be_named(tmp_path: Path) -> None:
    benchmarks = [guidellm_benchmark({"type_": "constant", "rate": r}) for r in (1.0, 2.0)]
    path = written(tmp_path / "benchmarks.json", guidellm(*benchmarks))

    assert [run.conditions.rate_per_s for run in read_runs([f"{path}#2"])] == [2.0]
    with pytest.raises(ConfigError, match="there is no run #3; it has 2"):
        read_runs([f"{path}#3"])


def test_a_file_with_a_mark_in_its_name_is_that_file(tmp_path: Path) -> None:
    assert len(read_runs([written(tmp_path / "run#2", vllm())])) == 1


def test_a_folder_stands_for_its_result_file(tmp_path: Path) -> None:
    written(tmp_path / "profile_export_aiperf.json", aiperf())
    written(tmp_path / "inputs.json", {})

    assert read_runs([str(tmp_path)])[0].name == "profile_export_aiperf.json"


def test_a_folder_with_several_results_asks_for_one(tmp_path: Path) -> None:
    for name in ("a_summary.json", "b_summary.json"):
        written(tmp_path / name, llmperf_summary())

    with pytest.raises(ConfigError, match=r'name one of "a_summary\.json", "b_summary\.json"'):
        read_runs([str(tmp_path)])


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a folder without a \.json file"):
        read_runs([str(tmp_path)])


def test_our_latencies_are_of_the_window_until_another_tool_comes_in(tmp_path: Path) -> None:
    records = [record(index) for index in range(8, 12)]
    mine = written(tmp_path / "ours.json", ours(records))
    other = written(tmp_path / "vllm.json", vllm())

    assert len(read_runs([mine, mine])[0].keys) == 2
    assert len(read_runs([mine, other])[0].keys) == 4


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: No such file"):
        read_runs([str(tmp_path / "none.json")])


def test_text_that_is_not_json_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"a": 1,\n oops}')

    with pytest.raises(ConfigError, match=r"bad\.json:2: is not JSON: expecting property name"):
        read_runs([str(path)])


def test_line_of_an_appended_file_that_is_not_json_is_told(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_text(f'{json.dumps(vllm())}\n\n{{"a": oops}}\n')

    with pytest.raises(ConfigError, match=r"all\.json:3: is not JSON: expecting value"):
        read_runs([str(path)])


def test_only_line_feeds_end_a_line_of_an_appended_file(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    lines = [json.dumps(vllm(note="one\u2028two"), ensure_ascii=False)] * 2
    path.write_text("\r\n".join(lines), encoding="utf-8", newline="")

    assert len(read_runs([str(path)])) == 2


def test_an_empty_file_is_told_unless_it_is_of_records(tmp_path: Path) -> None:
    document = ours(records_file="r.jsonl")
    del document["records"]
    (tmp_path / "r.jsonl").touch()

    assert read_runs([written(tmp_path / "bench.json", document)])[0].keys == []
    with pytest.raises(ConfigError, match=r"r\.jsonl: is empty"):
        read_runs([str(tmp_path / "r.jsonl")])


def test_bytes_that_are_not_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="cannot be read: it is not UTF-8 text"):
        read_runs([str(path)])


def test_json_of_no_known_tool_is_refused_with_its_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a result that can be compared; these can") as it:
        read_runs([written(tmp_path / "x.json", {"a": 1, "b": 2})])

    assert it.value.hint == 'its first keys are "a", "b"'


def test_results_of_a_demo_point_to_their_layouts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_runs([written(tmp_path / "x.json", {"schema": "replicore-demo/1"})])

    assert caught.value.hint == "compare the result files of its layouts, which lie beside it"


def test_a_broken_result_of_ours_is_told_with_its_file(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", ours([{"index": "one"}]))

    with pytest.raises(ConfigError, match=r"x\.json: its records are not those of"):
        read_runs([path])


def test_a_newer_schema_is_told_with_its_file(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", {"schema": "replicore-bench/9"})

    with pytest.raises(ConfigError, match=r'x\.json: schema "replicore-bench/9" is not one of'):
        read_runs([path])
