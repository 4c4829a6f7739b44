"""``replicore sweep`` over simulated replicas, as a user runs it."""

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

import pytest

from replicore.cli import run
from replicore.deploy.state import state_root
from tests.integration.deployment import eventually

TIMEOUT_S = 120.0
SIMULATED = ("--set", "engine.kind=sim", "--set", "engine.sim.cores=2")
SMALL = (
    *SIMULATED,
    *("--set", "workload.input_tokens.mean=16", "--set", "workload.output_tokens.mean=8"),
    *("--set", "layout.batch_size=2", "-n", "12"),
)
ONE = ("--layouts", "2x1", "-c", "1", "--repeats", "1", "--no-scaling")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="whole", scope="module")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sweep of all layouts of two cores, twice, and what it printed."""
    folder = tmp_path_factory.mktemp("whole")
    done = swept("--layouts", "auto", "-c", "4", "--repeats", "2", "-o", str(folder))
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture(name="small", scope="module")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sweep of one run, and the JSON that it printed."""
    folder = tmp_path_factory.mktemp("small")
    done = swept(*ONE, "--json", "-o", str(folder))
    assert done.returncode == 0, done.stderr
    (folder / "printed.json").write_text(done.stdout)
    return folder


@pytest.fixture(name="here")
def _here(small: Path) -> Path:
    """Return a copy of the small sweep, for a test of its own."""
    return Path(shutil.copytree(small, "here"))


def swept(*options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "replicore", "sweep", *SMALL, *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S)


@contextmanager
def sweeping(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sweep into ``here``, and go on once it has measured something."""
    argv = [sys.executable, "-m", "replicore", "sweep", *SMALL, *options, "-o", "here"]
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
    read: dict[str, Any] = json.loads((folder / "sweep.json").read_bytes())
    return read


def points(folder: Path) -> list[tuple[str, int, int]]:
    return [(run["layout"], run["concurrency"], run["repeat"]) for run in found(folder)["runs"]]


def test_sweep_deploys_and_measures_every_layout_interleaved(whole: Path) -> None:
    assert points(whole) == [
        ("2x1", 4, 0),
        ("1x2", 4, 0),
        ("1x1", 2, 0),
        ("1x1", 2, 1),
        ("1x2", 4, 1),
        ("2x1", 4, 1),
    ]


def test_sweep_finds_the_layout_that_is_twice_as_fast(whole: Path) -> None:
    # A simulated replica is as fast with one core as with two, so two of them are twice as fast.
    winner = found(whole)["winner"]

    assert (winner["layout"], winner["others"][0]["layout"]) == ("2x1", "1x2")
    assert winner["others"][0]["value"] > 1.3


def test_sweep_prints_winner_scaling_and_what_must_be_known(whole: Path) -> None:
    printed = (whole / "printed.txt").read_text()

    assert "best: 2x1 at 4 in flight, with " in printed
    assert "scaling efficiency" in printed
    assert "simulated: these numbers are of no real engine" in printed


def test_sweep_leaves_its_page_and_records_and_no_deployment(whole: Path) -> None:
    record = json.loads((whole / "runs" / "2x1-c4-r1.json").read_bytes())

    assert (whole / "sweep.html").read_text().startswith("<!doctype html>")
    assert record["summary"]["total"]["succeeded"] == 12
    assert {row["name"] for row in record["summary"]["replicas"]} == {"r0", "r1"}
    assert list(state_root().glob("sweep-*")) == []


def test_sweep_json_is_the_only_thing_on_stdout(small: Path) -> None:
    assert json.loads((small / "printed.json").read_bytes()) == found(small)


def test_killed_sweep_goes_on_where_it_was() -> None:
    options = ("--layouts", "2x1,1x2", "-c", "1,2", "--repeats", "1", "--no-scaling")
    with sweeping(*options) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(TIMEOUT_S)
    before = journal(Path("here"))
    done = swept(*options, "--resume", "-o", "here")

    assert done.returncode == 0, done.stderr
    assert journal(Path("here"))[: len(before) - 1] == before[:-1]
    assert sorted(points(Path("here"))) == [(x, c, 0) for x in ("1x2", "2x1") for c in (1, 2)]


def test_sweep_ended_by_ctrl_c_reports_what_it_has() -> None:
    with sweeping("--layouts", "2x1,1x2", "-c", "1,2", "--repeats", "3") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130

    assert found(Path("here"))["missing_runs"] > 0
    assert Path("here/sweep.html").exists()


def test_finished_sweep_that_is_resumed_is_judged_anew(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = journal(here)
    code = run(["sweep", *SMALL, *ONE, "--resume", "-o", "here", "--set", "slo.ttft_p99=1ms"])

    assert code == 0
    assert journal(here) == before
    assert "no layout meets the objectives" in capsys.readouterr().out


def test_resume_without_a_folder_takes_the_newest_sweep(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stamp in ("20261123T080000", "20261123T090000"):
        shutil.copytree(small, f"results/sweep-default-{stamp}")
    os.utime("results/sweep-default-20261123T080000/journal.jsonl", (0, 0))
    code = run(["sweep", *SMALL, *ONE, "--resume"])
    printed = capsys.readouterr()

    assert code == 0
    assert "0 of 1 runs to make" in printed.err
    assert "result: results/sweep-default-20261123T090000/sweep.json" in printed.out


# SAD PATH


def test_layouts_that_cannot_start_are_an_error_with_their_reason() -> None:
    settings = ('engine.sim.faults=["load-failure"]', "supervisor.max_failures=1")
    options = [word for key in settings for word in ("--set", key)]
    done = swept("--layouts", "2x1", "--repeats", "1", "--no-scaling", "-o", "here", *options)

    assert done.returncode == 1
    assert "error: no layout could be measured: 2x1: r" in done.stderr
    assert "exited with code 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_sweep_does_not_write_over_another(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["sweep", *SMALL, *ONE, "-o", "here"])
    printed = capsys.readouterr().err

    assert code == 2
    assert "has a sweep of 1 run already" in printed
    assert "--resume goes on with it" in printed


def test_sweep_under_other_conditions_is_not_resumed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ("--set", "workload.output_tokens.mean=9")
    code = run(["sweep", *SMALL, *ONE, *other, "--resume", "-o", "here"])

    assert code == 2
    assert "measured with workload.output_tokens.mean = 8, now it is 9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layouts", "3x1"], "these fit: "),
        (["--layouts", "2*1"], '"2*1" is no layout'),
        (["-c", "0"], '--concurrency: "0"'),
        (["--repeats", "0"], "--repeats"),
        (["--timeout", "soon"], "--timeout"),
        (["--resume"], "there is no sweep of default under results"),
        (["--set", "engine.kind=remote"], "engine.remote.endpoints"),
        (["nowhere.toml"], "nowhere.toml"),
    ],
)
def test_wrong_value_exits_with_two_before_anything_starts(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    code = run(["sweep", *SIMULATED, *options])

    assert code == 2
    assert message in capsys.readouterr().err
    assert not state_root().exists() or not list(state_root().glob("sweep-*"))


@pytest.mark.engine
@pytest.mark.slow
def test_sweep_measures_a_real_engine() -> None:
    options = ("--set", "workload.input_tokens.mean=16", "--set", "workload.output_tokens.mean=8")
    argv = [sys.executable, "-m", "replicore", "sweep", *options, "--layouts", "1x1"]
    argv += ["-n", "6", "-c", "2", "--repeats", "1", "-o", "here"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S)

    assert done.returncode == 0, done.stderr
    (cell,) = found(Path("here"))["cells"]
    assert (cell["layout"], cell["errors"]) == ("1x1", 0)
    assert "simulated" not in done.stdout
