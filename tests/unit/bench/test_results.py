"""Result files: complete, and where they belong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from replicore.bench.load.arrivals import Load
from replicore.bench.load.workload import Workload
from replicore.bench.record import BenchResult, Failure, FailureKind, RequestRecord
from replicore.bench.results import default_path, document, record_lines, write_file
from replicore.bench.selfcheck.verdict import Kind, Verdict
from replicore.bench.stats.summary import summarize


def record(index: int, failure: Failure | None = None) -> RequestRecord:
    return RequestRecord(
        index=index,
        endpoint="http://127.0.0.1:8000",
        replica="r0",
        input_tokens_asked=4,
        output_tokens_asked=2,
        intended_s=0.0,
        dispatched_s=0.0,
        ended_s=1.0,
        chunk_times_s=(0.5, 1.0),
        chunk_tokens=(1.0, 1.0),
        failure=failure,
    )


RESULT = BenchResult(
    endpoints=("http://127.0.0.1:8000",),
    model="tiny",
    workload=Workload(seed=42),
    requests=2,
    load=Load(concurrency=1),
    simulated=False,
    exact_prompts=True,
    started_at="2026-11-23T08:01:02+00:00",
    interrupted=False,
    warmup=(record(0),),
    records=(record(0), record(1, Failure(FailureKind.CUT, "no [DONE]"))),
)


def test_document_has_what_the_numbers_depend_on() -> None:
    verdict = Verdict(kind=Kind.VALID, reasons=("because",), numbers={"requests": 2.0})
    data = document(
        "llama",
        RESULT,
        summarize(RESULT),
        command=["bench"],
        notes=["a note"],
        verdict=verdict,
    )
    found = json.loads(data)

    assert found["schema"] == "replicore-bench/2"
    assert found["verdict"] == {"kind": "VALID", "reasons": ["because"], "numbers": {"requests": 2}}
    assert (found["name"], found["command"], found["notes"]) == ("llama", ["bench"], ["a note"])
    assert found["run"]["workload"]["seed"] == 42
    assert found["run"]["warmup"] == 1
    assert found["environment"]["versions"]["replicore"]
    assert found["environment"]["cores"]
    assert found["summary"]["errors"] == {"cut": 1}


def test_times_in_a_document_are_of_whole_microseconds() -> None:
    (record,) = [one for one in RESULT.records if one.succeeded]
    exact = replace(record, chunk_times_s=(0.12345678,), chunk_lags_s=(0.00000149,))
    result = replace(RESULT, records=(exact,))

    (found,) = json.loads(document("x", result, summarize(result), command=[], notes=[]))["records"]

    assert (found["chunk_times_s"], found["chunk_lags_s"]) == ([0.123457], [1e-06])


def test_document_has_every_record_with_its_failure() -> None:
    found = json.loads(document("x", RESULT, summarize(RESULT), command=[], notes=[]))

    assert [r["index"] for r in found["records"]] == [0, 1]
    assert found["records"][1]["failure"] == {"kind": "cut", "message": "no [DONE]"}
    assert len(found["warmup_records"]) == 1


def test_document_names_the_file_of_its_records_instead() -> None:
    data = document(
        "x", RESULT, summarize(RESULT), command=[], notes=[], records_file=Path("r.jsonl")
    )
    found = json.loads(data)

    assert found["records_file"] == "r.jsonl"
    assert "records" not in found


def test_record_lines_mark_the_warmup() -> None:
    lines = [json.loads(line) for line in record_lines(RESULT).splitlines()]

    assert [(line["warmup"], line["index"]) for line in lines] == [
        (True, 0),
        (False, 0),
        (False, 1),
    ]


def test_default_path_is_a_plain_file_name_with_name_and_time() -> None:
    path = default_path("127.0.0.1:8000/x", "2026-11-23T08:01:02+00:00")

    assert path == Path("results/bench-127.0.0.1-8000-x-20261123T080102.json")


def test_folders_of_a_result_are_made(tmp_path: Path) -> None:
    write_file(tmp_path / "new" / "result.json", b"{}")

    assert (tmp_path / "new" / "result.json").read_bytes() == b"{}"
