"""``replicore doctor`` as a user runs it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replicore.cli import run
from tests.integration.deployment import SIMULATED, Up, up

SETTINGS = ["--set", "engine.kind=sim", "--set", "layout.replicas=2", "--set", "layout.tp=1"]


def doctor(*arguments: str, code: int = 0) -> str:
    """Run the command as a process; return what it prints."""
    command = [sys.executable, "-m", "replicore", "doctor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def findings(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    document = json.loads(doctor(*arguments, "--json", code=code))
    assert document["format"] == "replicore-doctor/1"
    counted = [document[name] for name in ("errors", "warnings", "ok")]
    assert sum(counted) == len(document["findings"])
    return list(document["findings"])


def of(found: list[dict[str, Any]], check: str) -> list[dict[str, Any]]:
    return [finding for finding in found if finding["check"] == check]


@pytest.fixture(name="taken")
def _taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_this_machine_is_looked_at_without_a_spec() -> None:
    checks = {finding["check"] for finding in findings()}

    assert checks >= {
        *("replicore", "engine", "cpu", "devices", "memory", "shared-memory", "open-files"),
        *("processes", "locked-memory", "ports", "disk", "environment"),
    }


def test_problems_are_shown_with_what_to_change_and_end_with_1(taken: int) -> None:
    shown = doctor(*SETTINGS, "--set", f"gateway.port={taken}", code=1)
    first, second, *_ = shown.splitlines()

    assert first.startswith("✗ error")
    assert f"gateway.port: {taken} is in use by" in first
    assert "→ `--port 0` takes any free port" in second
    assert ", ".join(shown.splitlines()[-1].split(", ")[:1]) == "1 error"


def test_a_wrong_spec_is_a_finding_among_those_of_the_machine(tmp_path: Path) -> None:
    spec = tmp_path / "wrong.toml"
    spec.write_text("[layout]\ntpp = 2\n")
    found = findings(str(spec), code=1)

    assert found[0]["check"] == "spec"
    assert "layout.tpp: unknown key; did you mean layout.tp?" in found[0]["message"]
    assert of(found, "cpu")


def test_a_spec_is_laid_out_and_linted(tmp_path: Path) -> None:
    found = findings(*SETTINGS, "--set", "workload.concurrency=3", "--set", "gateway.port=0")

    assert of(found, "layout")[0]["level"] == "ok"
    assert of(found, "concurrency")[0]["key"] == "workload.concurrency"


@pytest.fixture(name="running", scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(*SIMULATED, state=tmp_path_factory.mktemp("doctor") / "state") as running:
        yield running


def test_a_running_deployment_is_well(running: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICORE_STATE_DIR", str(running.folder.parent))
    found = findings(*SETTINGS, "--set", "name=test")

    assert of(found, "deployments")[0]["message"].endswith(f"{running.url}")
    assert [finding for finding in found if finding["level"] == "error"] == []


def test_the_help_names_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--help"]) == 0
    assert "SPEC" in capsys.readouterr().out
