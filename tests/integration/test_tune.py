"""``replicore tune`` over simulated replicas and over the embedded engine, as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from replicore.cli import run
from replicore.deploy.state import state_root
from replicore.engines.sim.profiles import PROFILES, step_time
from replicore.engines.sim.stand_in import simulated_model
from replicore.planner.files.load import FOLDER_VARIABLE, calibrations_folder
from replicore.planner.files.reading import read_calibration
from replicore.spec import load_spec
from tests.integration.deployment import eventually

TIMEOUT_S = 300.0
LENGTHS = ("--set", "workload.input_tokens.mean=32", "--set", "workload.output_tokens.mean=8")
# Four cores: 4x1, 2x2, 1x4 and those that leave some idle, with 1 or 2 slots. Hardly any risk is
# taken, so that one run is not enough.
SMALL = (
    *("--set", "engine.kind=sim", "--set", "engine.sim.profile=h100"),
    *("--set", "engine.sim.cores=4", "--set", "model.source=meta-llama/Llama-3.1-8B-Instruct"),
    *(*LENGTHS, "--batch-sizes", "1,2", "-n", "8", "--risk", "0.001"),
)

# A node of 64 cores, for a model of 70 billion parameters.
NODE = """\
name = "node"

[model]
source = "meta-llama/Llama-3.3-70B-Instruct"

[layout]  # of one node
replicas = "auto"  # to be found
max_model_len = 1024

[engine]
kind = "sim"
sim = { profile = "trn2", cores = 64 }

[workload]
input_tokens = { mean = 256 }
output_tokens = { mean = 16 }

[slo]
tpot_p99 = "65ms"
"""
NODE_SLOTS = (1, 2, 4)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "calibrations"))


@pytest.fixture(name="small", scope="module")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tuning of one run, and the JSON that it printed."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder / "calibrations"))
        done = tuned(*SMALL, "--budget", "1", "--json", "-o", str(folder))
    assert done.returncode == 0, done.stderr
    (folder / "printed.json").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder


@pytest.fixture(name="here")
def _here(small: Path) -> Path:
    """Return a copy of the small tuning, for a test of its own."""
    return Path(shutil.copytree(small, "here"))


def tuned(*options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "replicore", "tune", *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S)


@contextmanager
def tuning(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Tune into ``here``, and go on once something was measured."""
    argv = [sys.executable, "-m", "replicore", "tune", *options, "-o", "here"]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(argv, stdout=nowhere, stderr=nowhere, env=os.environ) as process:
        try:
            eventually(lambda: len(journal(Path("here"))) > 1)
            yield process
        finally:
            process.kill()


def journal(folder: Path) -> list[bytes]:
    path = folder / "journal.jsonl"
    return path.read_bytes().splitlines() if path.exists() else []


def found(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "tune.json").read_bytes())
    return read


def best_by_formula(spec: Path) -> str:
    """Return the layout with most output tok/s among those that keep the TPOT limit.

    All requests are alike, so those of a full batch begin together: B prompts one after the other,
    then O - 1 decode steps. The first of them waits for the other prompts within its TPOT.
    """
    loaded = load_spec(spec, environ={})
    shape = simulated_model(loaded.model, loaded.engine.sim).shape
    limit, outputs = loaded.slo.tpot_p99, loaded.workload.output_tokens.mean
    rates: dict[str, float] = {}
    for tp in (8, 16, 32, 64):
        for slots in NODE_SLOTS:
            times = step_time(PROFILES["trn2"], shape, tp=tp, batch_size=slots, max_model_len=1024)
            prompt = times.prefill(loaded.workload.input_tokens.mean)
            decode = (outputs - 1) * times.decode(slots, 0)
            slowest = (decode + (slots - 1) * prompt) / (outputs - 1)
            if limit is not None and slowest <= limit:
                replicas = 64 // tp
                rates[f"{replicas}x{tp}x{slots}"] = (
                    replicas * slots * outputs / (decode + slots * prompt)
                )
    return max(rates, key=lambda size: rates[size])


@pytest.mark.slow
def test_tune_finds_the_best_layout_of_a_node_in_few_runs(tmp_path: Path) -> None:
    spec = tmp_path / "node.toml"
    spec.write_text(NODE)
    sizes = ",".join(map(str, NODE_SLOTS))
    done = tuned(str(spec), "--batch-sizes", sizes, "-n", "16", "--budget", "6", "-o", "here")
    assert done.returncode == 0, done.stderr
    result = found(Path("here"))

    assert result["layout"]["size"] == best_by_formula(spec) == "4x16x4"
    assert len(result["runs"]) <= 5
    assert len(result["layouts"]) > 30
    assert f"{len(result['runs'])} of {len(result['layouts'])} layouts were run" in done.stdout


def test_every_run_is_predicted_measured_and_kept(small: Path) -> None:
    (made,) = found(small)["runs"]
    record = json.loads(
        (small / "runs" / f"{made['size']}-c{made['concurrency']}-r1.json").read_bytes()
    )

    assert made["predicted"]["output_tokens_per_s"]["value"] > 0
    assert made["measured"]["output_tokens_per_s"] > 0
    assert record["summary"]["total"]["succeeded"] == made["requests"] == 2 * made["concurrency"]
    assert list(state_root().glob("tune-*")) == []


def test_progress_says_what_was_predicted_measured_and_is_believed(small: Path) -> None:
    said = (small / "stderr.txt").read_text()

    assert "14 layouts can be run here; budget: 1 run" in said
    for part in ("run 1: ", "  predicted: ", "  measured: ", "  believed now: ", "done: "):
        assert part in said


def test_tune_json_is_the_only_thing_on_stdout(small: Path) -> None:
    assert json.loads((small / "printed.json").read_bytes()) == found(small)
    assert "simulated: these numbers are of no real engine" in found(small)["notes"]


def test_simulated_tuning_leaves_no_calibration(small: Path) -> None:
    assert not list((small / "calibrations").glob("*.toml"))


def test_resumed_tuning_goes_on_with_a_larger_budget(here: Path) -> None:
    before = journal(here)
    done = tuned(*SMALL, "--budget", "2", "--resume", "-o", "here")

    assert done.returncode == 0, done.stderr
    assert journal(here)[: len(before)] == before
    assert len(found(here)["runs"]) == 2
    assert "; 1 run made before" in done.stderr


def test_killed_tuning_goes_on_where_it_was() -> None:
    with tuning(*SMALL, "--budget", "3") as process:
        process.send_signal(signal.SIGKILL)
        process.wait(TIMEOUT_S)
    before = journal(Path("here"))
    done = tuned(*SMALL, "--budget", "2", "--resume", "-o", "here")

    assert done.returncode == 0, done.stderr
    assert journal(Path("here"))[:2] == before[:2]
    assert len(found(Path("here"))["runs"]) == max(2, len(before) - 1)


def test_tuning_ended_by_ctrl_c_reports_what_it_has_and_leaves_nothing() -> None:
    with tuning(*SMALL, "--budget", "6") as process:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130

    assert found(Path("here"))["end"] == "interrupted"
    assert len(found(Path("here"))["runs"]) >= 1
    assert not any(child.is_running() for child in children)


def test_layout_is_written_into_the_spec_and_comments_stay(here: Path) -> None:
    Path("serve.toml").write_text('# mine\n[layout]\nreplicas = "auto"  # to be found\n')
    done = tuned("serve.toml", *SMALL, "--budget", "1", "--resume", "-o", "here", "--write")
    layout, text = found(here)["layout"], Path("serve.toml").read_text()

    assert done.returncode == 0, done.stderr
    assert f"replicas = {layout['replicas']}  # to be found" in text
    assert text.startswith("# mine\n[layout]\n")
    assert load_spec(Path("serve.toml"), environ={}).layout.tp == layout["tp"]


# SAD PATH


def test_tuning_under_other_conditions_is_not_resumed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ("--set", "workload.output_tokens.mean=9")
    code = run(["tune", *SMALL, *other, "--resume", "-o", "here"])

    assert code == 2
    assert "measured with workload.output_tokens.mean = 8, now it is 9" in capsys.readouterr().err


def test_sweep_is_not_resumed_as_a_tuning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads(journal(here)[0])
    text = json.dumps({**first, "schema": "replicore-sweep-journal/1"})
    (here / "journal.jsonl").write_text(f"{text}\n")
    code = run(["tune", *SMALL, "--resume", "-o", "here"])

    assert code == 1
    assert "line 1 does not begin a tuning of the schema" in capsys.readouterr().err


def test_layouts_that_cannot_start_are_an_error_with_their_reason() -> None:
    settings = ('engine.sim.faults=["load-failure"]', "supervisor.max_failures=1")
    options = [word for key in settings for word in ("--set", key)]
    done = tuned(*SMALL, "--budget", "1", "-o", "here", *options)

    assert done.returncode == 1
    assert "error: no layout could be measured: " in done.stderr
    assert "exited with code 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "0"], '--budget: "0"'),
        (["--risk", "0.9"], "--risk"),
        (["--batch-sizes", "many"], '--batch-sizes: "many" is no number of slots'),
        (["--timeout", "soon"], "--timeout"),
        (["--write"], "--write: there is no spec file"),
        (["--points", "nowhere.json=2x1"], "nowhere.json"),
        (["--resume"], "there is no tune of default under results"),
        (["nowhere.toml"], "nowhere.toml"),
    ],
)
def test_wrong_value_exits_with_two_before_anything_starts(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    code = run(["tune", *SMALL, *options])

    assert code == 2
    assert message in capsys.readouterr().err
    assert not state_root().exists() or not list(state_root().glob("tune-*"))


@pytest.mark.engine
@pytest.mark.slow
def test_tune_works_on_a_real_engine_and_calibrates_this_machine() -> None:
    options = (*LENGTHS, "--batch-sizes", "1,2", "-n", "6")
    with tuning(*options, "--budget", "2") as process:
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT_S)
    done = tuned(*options, "--budget", "2", "--resume", "-o", "here")
    (file,) = calibrations_folder().glob("*.toml")
    record = read_calibration(file)

    assert done.returncode == 0, done.stderr
    assert f"use {found(Path('here'))['layout']['size']}: " in done.stdout
    assert record.key is not None
    assert record.key[1] == "llamacpp"
    assert record.calibration.rows == len(found(Path("here"))["runs"]) >= 1
    assert record.observations
    assert list(calibrations_folder().glob("devices/*.toml"))
