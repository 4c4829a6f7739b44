"""Published rows of Trainium and Inferentia, and how well they are predicted."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.planner.neuron import BARS, lines, neuron_report
from benchmarks.planner.neuron_rows import neuron_row, read_neuron, replicas
from benchmarks.planner.rows import Row
from benchmarks.planner.ship_neuron import calibrations

DATA = Path(__file__).parents[4] / "shared" / "data" / "neuron_perf.csv"

TABLE = {
    "row_id": "1",
    "source": "github:somebody/something path@1",
    "instance": "inf2.48xlarge",
    "framework": "Transformers NeuronX",
    "model": "Llama-2-13b",
    "precision": "FP16 / Matmult-BF16 / weights bf16",
    "tp": "24",
    "dp": "1",
    "batch_per_replica": "8",
    "concurrency": "8",
    "seq_len": "4096",
    "input_len": "128",
    "output_len": "3968",
    "load_mode": "Batch",
    "throughput_tok_s": "589.9",
    "throughput_kind": "output",
    "ttft_p50_ms": "108.8",
    "tpot_p50_ms": "14.9",
    "quality": "A",
    "notes": "",
}
SERVED: Mapping[str, str] = TABLE | {
    "row_id": "2",
    "framework": "optimum-neuron vLLM plugin",
    "tp": "8",
    "dp": "3",
    "batch_per_replica": "32",
    "concurrency": "96",
    "input_len": "1500 (var 150)",
    "output_len": "250 (var 20)",
}


def row(base: Mapping[str, str] = TABLE, /, **changes: str) -> Row:
    return neuron_row({**base, **changes})


def test_a_row_of_awss_tables_is_a_batch_that_begins_together() -> None:
    seen = row().observation
    assert seen is not None
    assert seen.case.replica.static is not None
    assert seen.case.replica.static.together
    assert seen.tpot_s == pytest.approx(0.0149)
    assert seen.ttft_s == pytest.approx(0.1088)


def test_a_server_pads_prompts_to_a_bucket_and_shares_users_among_replicas() -> None:
    seen = row(SERVED).observation
    assert seen is not None
    assert seen.case.replica.static is not None
    assert seen.case.replica.static.prompt_tokens == 2048
    assert seen.case.traffic.concurrency == 32
    assert replicas(row(SERVED)) == 3


def test_weights_of_eight_bits_are_multiplied_in_sixteen() -> None:
    seen = row(precision="FP16 / Matmult-BF16 / weights int8").observation
    assert seen is not None
    assert seen.case.replica.anatomy.weights.name == "int8"
    assert seen.case.replica.precision.compute_bits == 16


def test_users_who_are_assumed_tell_nothing_of_the_first_token() -> None:
    seen = row(SERVED, notes="128 users assumed from the README").observation
    assert seen is not None
    assert seen.ttft_s is None


def test_a_server_that_ran_one_request_at_a_time_had_one_user() -> None:
    seen = row(SERVED, notes="the server ran one request at a time").observation
    assert seen is not None
    assert seen.case.traffic.concurrency == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quality": "C"}, "profiler page, no serving result"),
        ({"throughput_kind": "total (input+output)"}, "counts input and output tokens"),
        ({"notes": "embedding; p90 12 s"}, "embedding"),
        ({"model": "Llama-3.1-8B-Instruct + EAGLE3 (3 tokens)"}, "speculative decoding"),
        ({"model": "Nobody-3B"}, "no sizes of Nobody-3B"),
        ({"instance": "g5.12xlarge"}, "no Neuron device"),
        ({"instance": "inf1.xlarge"}, "no data sheet of inf1.xlarge"),
        ({"load_mode": "asynchronous@0.11 req/sec"}, "open loop"),
        ({"tpot_p50_ms": ""}, "no TPOT to compare with"),
        ({"seq_len": ""}, "no compiled length"),
        ({"concurrency": ""}, "no concurrency"),
    ],
)
def test_a_row_that_is_no_observation_is_refused_with_its_reason(
    changes: dict[str, str], reason: str
) -> None:
    refused = row(**changes)
    assert refused.observation is None
    assert refused.refusal == reason


def test_rows_of_the_planners_format_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "row_id,hardware,tp,model,precision,load,concurrency,input_len,output_len,out_tok_s,"
        "ttft_ms,ttft_stat,tpot_ms,tpot_stat,engine\n"
        "F1,AWS inf2.48xlarge (12 Inferentia2),24,Llama-2-13b,FP16/weights bf16,static-batch,8,"
        "128,3968,589.9,108.8,p50,14.9,p50,Transformers NeuronX\n"
        "A1,H100,8,Llama-2-13b,fp8,closed-loop,8,128,128,100,10,mean,10,mean,vllm\n"
    )
    (read,) = read_neuron(path)
    ours = row().observation
    assert read.observation is not None
    assert ours is not None
    assert read.observation.case == ours.case


def test_every_device_is_calibrated_and_says_what_it_is_from() -> None:
    made = dict(calibrations([row(), row(row_id="1b"), row(SERVED)]))
    assert made["inf2", "neuron"].rows == 2  # one of the three is there twice
    assert made["inf2", "neuron"].source == "somebody/something"
    assert made["trn3", "neuron"].rows == 0
    assert made["trn3", "neuron"].source == "none of its own: shared by inf2"


def test_rows_of_another_file_are_predicted_but_those_that_are_in_both(tmp_path: Path) -> None:
    known, other = tmp_path / "known.csv", tmp_path / "other.csv"
    for path, rows in ((known, [TABLE]), (other, [TABLE, TABLE | {"tpot_p50_ms": "15.2"}])):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(TABLE))
            writer.writeheader()
            writer.writerows(rows)

    splits = neuron_report(other, known)["splits"]

    assert splits["other file"]["TPOT, all"]["rows"] == 1


@pytest.fixture(scope="module", name="report")
def _report() -> dict[str, Any]:
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not in ../shared/data")
    return neuron_report(DATA)


@pytest.mark.parametrize("split", BARS)
def test_published_steps_are_predicted_within_the_bars(report: dict[str, Any], split: str) -> None:
    assert report["splits"][split]["TPOT, all"]["median"] <= BARS[split]


def test_every_published_row_is_answered_or_refused(report: dict[str, Any]) -> None:
    assert report["answered"] + sum(report["refused"].values()) == report["rows"]
    assert any("refused" in line for line in lines(report))
