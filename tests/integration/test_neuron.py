"""The Neuron engine from ``compile`` to a served token, with everything real but the device."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from replicore.http.fetch import fetch
from tests.integration.deployment import up
from tests.integration.neuron_environment import make_environment, make_model
from tests.integration.neuron_machine import pretend_trn2
from tests.unit.engines.neuron.fake_environment import FORK, NATIVE

SPEC = """
[model]
source = "{model}"
served_name = "tiny"

[layout]
replicas = 2
tp = 4
batch_size = 4
max_model_len = 1024
cores = "0-7"

[engine]
kind = "neuron"
python = "{python}"

[engine.neuron]
artefacts = "{artefacts}"
"""


@pytest.fixture(name="spec", params=[FORK])
def _spec(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    pretend_trn2(tmp_path / "tools", monkeypatch)
    text = SPEC.format(
        model=make_model(tmp_path / "model"),
        python=make_environment(tmp_path / "bin", request.param),
        artefacts=tmp_path / "artefacts",
    )
    path = tmp_path / "neuron.toml"
    path.write_text(text)
    return path


def run(spec: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "replicore", *words]
    environ = {**os.environ, "REPLICORE_STATE_DIR": str(spec.parent / "state")}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def seen_by(spec: Path, replica: str) -> dict[str, Any]:
    """Return the arguments and the variables that a replica's server was started with."""
    found: dict[str, Any] = json.loads((spec.parent / "bin" / f"{replica}.json").read_text())
    return found


def test_up_compiles_and_serves_on_disjoint_cores(spec: Path) -> None:
    with up(str(spec), "--compile", state=spec.parent / "state") as at:
        body = b'{"model": "tiny", "prompt": "hello", "max_tokens": 2}'
        reply = asyncio.run(fetch(at.root_url, "POST", "/v1/completions", body=body, timeout=30))

    r0, r1 = (seen_by(spec, name)["env"] for name in ("r0", "r1"))
    assert reply.status == 200
    assert (r0["NEURON_RT_VISIBLE_CORES"], r1["NEURON_RT_VISIBLE_CORES"]) == ("0-3", "4-7")
    assert r0["NEURON_COMPILED_ARTIFACTS"] == r1["NEURON_COMPILED_ARTIFACTS"]
    assert r0["MASTER_PORT"] != r1["MASTER_PORT"]
    assert r0["BASE_COMPILE_WORK_DIR"] != r1["BASE_COMPILE_WORK_DIR"]


def test_up_without_a_compiled_model_says_how_to_make_it(spec: Path) -> None:
    done = run(spec, "up", str(spec), "--port", "0")

    assert done.returncode != 0
    assert "replicore compile" in done.stderr
    assert not (spec.parent / "bin" / "r0.json").exists()


def test_up_with_another_length_names_what_differs(spec: Path) -> None:
    compiled = run(spec, "compile", str(spec))
    done = run(spec, "up", str(spec), "--port", "0", "--set", "layout.max_model_len=2048")

    assert compiled.returncode == 0, compiled.stderr
    assert done.returncode != 0
    assert "layout.max_model_len" in done.stderr
    assert "1024" in done.stderr


@pytest.mark.parametrize("spec", [NATIVE], indirect=True)
@pytest.mark.parametrize("command", ["up", "compile"])
def test_nothing_is_started_for_a_machine_that_is_only_planned_for(
    spec: Path, command: str
) -> None:
    done = run(spec, command, str(spec), "--set", "engine.neuron.instance=trn2.48xlarge")

    assert done.returncode == 2
    assert 'error: engine.neuron.instance: "trn2.48xlarge" plans for another' in done.stderr
    assert not (spec.parent / "bin" / "r0.json").exists()


def test_compiling_ahead_works_for_a_machine_that_is_only_planned_for(spec: Path) -> None:
    here = run(spec, "compile", str(spec))
    there = run(spec, "compile", str(spec), "--set", "engine.neuron.instance=trn2.48xlarge")

    assert there.returncode == 0
    assert there.stdout == here.stdout


def test_variables_of_another_launcher_do_not_reach_the_engine(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("NEURON_RT_NUM_CORES", "64")
    with up(str(spec), "--compile", state=spec.parent / "state"):
        variables = seen_by(spec, "r1")["env"]

    assert not {"WORLD_SIZE", "NEURON_RT_NUM_CORES"} & set(variables)


@pytest.mark.parametrize("spec", [NATIVE], indirect=True)
def test_cache_that_one_replica_has_filled_is_used_by_all(spec: Path) -> None:
    compiled = run(spec, "compile", str(spec))
    with up(str(spec), state=spec.parent / "state"):
        r0, r1 = (seen_by(spec, name)["env"] for name in ("r0", "r1"))

    fatal = "VLLM_NEURON_DISABLE_WARMUP_COMPILE"
    assert compiled.returncode == 0, compiled.stderr
    assert r0["VLLM_CACHE_ROOT"] == r1["VLLM_CACHE_ROOT"] == compiled.stdout.strip()
    assert (fatal in r0, fatal in r1) == (False, True)
    assert r1["NEURON_VISIBLE_DEVICES"] == "4-7"


def test_folder_that_was_compiled_by_the_tutorials_script_is_not_taken_over(
    spec: Path, tmp_path: Path
) -> None:
    folder = Path(run(spec, "compile", str(spec)).stdout.strip())
    by_hand = tmp_path / "by-hand"
    shutil.copytree(folder, by_hand)
    (by_hand / "manifest.json").unlink()
    config = {"neuron_config": {"tp_degree": 4, "batch_size": 4, "is_continuous_batching": False}}
    (by_hand / "neuron_config.json").write_text(json.dumps(config))
    done = run(spec, "artefacts", "adopt", str(by_hand), str(spec))

    assert done.returncode != 0
    assert "continuous batching" in done.stderr
