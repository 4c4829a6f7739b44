from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from replicore.deploy.deployment import Deployment
from replicore.engines.command import Command
from replicore.render.service import SYSTEM_PATH, Service, plan_service
from replicore.render.shell.paths import ROOT
from replicore.render.shell.render import render_shell
from tests.unit.render.rendering import (
    GOLDEN,
    INF2,
    SIM,
    VLLM_CPU,
    deployment_of,
    generated,
    text_of,
    tutorial,
    write,
)

# Prints how it was started; what the shell itself sets is not of interest.
_RECORDER = f"""#!{sys.executable} -IS
import json, os, sys
own = ("PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE")
env = {{name: text for name, text in os.environ.items() if name not in own}}
affinity = sorted(os.sched_getaffinity(0))
print(json.dumps({{"argv": sys.argv, "env": env, "affinity": affinity}}))
"""

DEPLOYMENTS: Mapping[str, Mapping[str, str]] = {
    "fork": {"engine.neuron.generation": "fork"},
    "nxdi": {"engine.neuron.generation": "nxdi"},
    "native": {"engine.neuron.generation": "native"},
    "whole": {"layout.replicas": "1", "layout.tp": "64"},
    "quarters": {"layout.replicas": "4", "layout.tp": "16"},
}


def scripts(deployment: Deployment, folder: Path) -> Path:
    """Write the scripts, with programs that print how they were started."""
    write(render_shell(deployment), folder)
    programs = folder / "bin"
    programs.mkdir()
    for name in ("python", "inference_demo"):
        (programs / name).write_text(_RECORDER)
        (programs / name).chmod(0o755)
    (folder / "local.sh").write_text(f"BIN={programs}\n")
    return folder


def started(*argv: object, **env: str) -> dict[str, object]:
    """Return how the engine, or the compiler, was started by a script."""
    words = [str(word) for word in argv]
    inherited = {"PATH": os.environ["PATH"], **env}
    done = subprocess.run(words, env=inherited, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def placed(text: str, places: Mapping[str, object]) -> str:
    for standing_for, path in places.items():
        text = text.replace(standing_for, str(path))
    return text


def expected(command: Command, places: Mapping[str, object]) -> dict[str, object]:
    """Return how the command is started where the scripts are."""
    env = {name: placed(text, places) for name, text in command.env.items()}
    return {
        "argv": [placed(word, places) for word in command.argv],
        "env": {"PATH": os.environ["PATH"], **env},
        "affinity": sorted(command.affinity or os.sched_getaffinity(0)),
    }


def planned(deployment: Deployment) -> Service:
    return plan_service(deployment, folder=ROOT)


def test_scripts_of_the_tutorial_are_as_they_were_read() -> None:
    """After a change that is meant, ``python -m tests.unit.render.rendering`` writes them anew."""
    for file in generated(render_shell(tutorial())):
        assert file.text == (GOLDEN / "llama70b-trn2" / file.name).read_text()


@pytest.mark.parametrize("overrides", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_replica_is_started_exactly_as_up_starts_it(
    overrides: Mapping[str, str], tmp_path: Path
) -> None:
    deployment = tutorial(**overrides)
    folder = scripts(deployment, tmp_path)
    binaries = Path(planned(deployment).commands()[0].argv[0]).parent
    places = {
        str(ROOT): folder,
        str(binaries): folder / "bin",
        SYSTEM_PATH: os.environ["PATH"],
    }

    for plan, command in zip(
        planned(deployment).replicas, planned(deployment).commands(), strict=True
    ):
        found = started(folder / "serve.sh", "--replica", plan.name)
        assert found == expected(command, places)


def test_compiler_is_started_exactly_as_compile_starts_it(tmp_path: Path) -> None:
    deployment = tutorial()
    folder = scripts(deployment, tmp_path)
    found = started(folder / "compile.sh", "--compiler", "/partial folder", "/work folder")
    command = planned(deployment).compile_command(Path("/partial folder"), Path("/work folder"))

    assert command is not None
    binaries = str(Path(command.argv[0]).parent)
    assert found == expected(command, {binaries: folder / "bin"})


def test_cores_of_the_cpu_are_pinned(tmp_path: Path) -> None:
    deployment = deployment_of(None, **VLLM_CPU)
    folder = scripts(deployment, tmp_path)

    found = started(folder / "serve.sh", "--replica", "r0")
    assert found["affinity"] == sorted(deployment.layout.ranges[0])


def test_variables_that_hang_an_engine_are_not_handed_on(tmp_path: Path) -> None:
    folder = scripts(tutorial(), tmp_path)
    found = started(folder / "serve.sh", "--replica", "r1", WORLD_SIZE="2", RANK="1", HOME="/h")

    assert isinstance(found["env"], dict)
    assert {"WORLD_SIZE", "RANK"}.isdisjoint(found["env"])
    assert found["env"]["HOME"] == "/h"


def test_empty_variables_of_the_caller_choose_no_other_model(tmp_path: Path) -> None:
    folder = scripts(tutorial(), tmp_path)
    found = started(folder / "serve.sh", "--replica", "r0", MODEL="", ROOT="/")

    assert isinstance(found["argv"], list)
    assert "/ubuntu/model_hf/Llama-3.3-70B-Instruct" in found["argv"]


def test_replica_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    folder = scripts(tutorial(), tmp_path)
    done = subprocess.run([folder / "serve.sh", "--replica", "r7"], capture_output=True, text=True)

    assert (done.returncode, "these are: r0 r1" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "deployment",
    [
        pytest.param(("llama70b-trn2.toml", {}), id="trn2, hub"),
        pytest.param(("llama70b-trn2.toml", DEPLOYMENTS["native"]), id="trn2, native"),
        pytest.param(("llama8b-inf2.toml", INF2), id="inf2"),
        pytest.param((None, VLLM_CPU), id="vllm"),
        pytest.param((None, SIM), id="sim"),
        pytest.param((None, {"model.served_name": 'it\'s "a" $name'}), id="llama.cpp"),
    ],
)
def test_scripts_pass_bash_and_shellcheck(
    deployment: tuple[str | None, Mapping[str, str]], tmp_path: Path
) -> None:
    example, overrides = deployment
    write(render_shell(deployment_of(example, **overrides)), tmp_path)
    found = sorted(str(path) for path in tmp_path.glob("*.sh"))

    for script in found:
        subprocess.run(["bash", "-n", script], check=True)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if shutil.which(shellcheck) is None:
        pytest.skip("shellcheck is not installed")
    _run_clean([str(shellcheck), "--severity=style", *found])


def _run_clean(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_concurrency_follows_from_replicas_and_batch() -> None:
    settings = text_of(render_shell(deployment_of(None, **SIM)), "settings.sh")

    assert "BATCH_SIZE=4" in settings
    assert "CONCURRENCY=12" in settings


def test_front_door_gets_the_settings_that_are_not_the_defaults() -> None:
    files = render_shell(
        deployment_of(None, **SIM, gateway__policy="round_robin", gateway__queue_timeout="2m")
    )

    arguments = "GATEWAY_ARGS=(--set gateway.policy=round_robin --set gateway.queue_timeout=120.0)"
    assert arguments in text_of(files, "settings.sh")


def test_engine_without_artefacts_has_nothing_to_compile() -> None:
    names = [file.name for file in render_shell(deployment_of(None, **SIM))]

    assert "compile.sh" not in names
    assert "fetch_model.sh" not in names
