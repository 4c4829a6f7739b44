"""``replicore sweep`` over layouts that must be compiled, with the Neuron engine's stand-ins."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.deploy.deployments import DEADLINE_S
from tests.integration.neuron_spec import write_spec

ONE_RUN = ("-c", "1", "-n", "2", "--repeats", "1", "--no-scaling", "--seed", "1")


def sweep(spec: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    out = spec.parent / "sweep"
    argv = [sys.executable, "-m", "replicore", "sweep", str(spec), "--layouts", "1x2,2x1"]
    return subprocess.run(
        [*argv, *ONE_RUN, "-o", str(out), *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S * 3,
    )


def test_layout_that_is_not_compiled_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = sweep(write_spec(tmp_path, monkeypatch))

    assert done.returncode == 1
    assert "error: 1x2: " in done.stderr
    assert "replicore sweep --compile" in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_sweep_compiles_each_layout_that_needs_it_and_measures_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = sweep(write_spec(tmp_path, monkeypatch), "--compile")

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "sweep" / "sweep.json").read_bytes())
    assert {(cell["layout"], cell["errors"]) for cell in found["cells"]} == {("1x2", 0), ("2x1", 0)}
