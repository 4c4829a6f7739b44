from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from replicore.render.systemd.render import render_systemd
from replicore.render.systemd.text import assignment, command_line
from tests.unit.render.rendering import SIM, VLLM_CPU, deployment_of, text_of, tutorial, write

REPLICA = "replicore-llama70b-r1.service"


def directives(text: str, name: str) -> list[str]:
    """Return the values of one directive, in order, continued lines joined."""
    lines = text.replace("\\\n", "").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


@pytest.mark.parametrize(
    ("word", "escaped"),
    [
        ("plain/word-1.2", "plain/word-1.2"),
        ("two words", '"two words"'),
        ('{"a": 1}', '"{\\"a\\": 1}"'),
        ("$HOME", '"$$HOME"'),
        ("100%", '"100%%"'),
        ("back\\slash", '"back\\\\slash"'),
        ("", '""'),
        ("two\nlines", '"two\\nlines"'),
    ],
)
def test_word_of_a_command_line_means_itself(word: str, escaped: str) -> None:
    assert command_line(["serve", word]) == f"serve {escaped}"


def test_each_option_of_a_command_line_has_a_line() -> None:
    assert command_line(["serve", "--port", "1"]) == "serve \\\n  --port 1"


def test_dollar_of_a_variable_is_no_variable() -> None:
    assert assignment("A", "$B %d") == '"A=$B %%d"'


def test_target_starts_replicas_and_front_door() -> None:
    text = text_of(render_systemd(tutorial()), "replicore-llama70b.target")

    assert directives(text, "Wants") == [
        "replicore-llama70b-r0.service replicore-llama70b-r1.service "
        "replicore-llama70b-gateway.service"
    ]


def test_no_unit_can_have_the_name_of_systemds_own_target() -> None:
    names = [
        file.name for file in render_systemd(deployment_of(None, **{**SIM, "name": "default"}))
    ]

    assert "default.target" not in names


def test_replica_waits_for_the_compiled_model() -> None:
    text = text_of(render_systemd(tutorial()), REPLICA)

    assert directives(text, "Requires") == ["replicore-llama70b-compile.service"]
    assert "replicore-llama70b-compile.service" in directives(text, "After")[0]


def test_compile_appears_under_its_name_when_it_is_whole() -> None:
    text = text_of(render_systemd(tutorial()), "replicore-llama70b-compile.service")
    compiler, check, rename = directives(text, "ExecStart")
    (artefact,) = directives(text, "ConditionPathExists")

    assert f"--compiled-model-path {artefact[1:]}.partial" in compiler
    assert "weights/tp31_sharded_checkpoint.safetensors" in check
    assert rename == f"/bin/mv -T {artefact[1:]}.partial {artefact[1:]}"


def test_replica_has_its_rules_from_the_spec() -> None:
    deployment = tutorial(supervisor__stop_grace="25s", supervisor__max_failures="7")
    text = text_of(render_systemd(deployment), REPLICA)

    assert directives(text, "TimeoutStartSec") == ["1800s"]
    assert directives(text, "TimeoutStopSec") == ["25s"]
    assert directives(text, "StartLimitBurst") == ["7"]


def test_replicas_that_load_one_by_one_wait_for_each_other() -> None:
    text = text_of(render_systemd(tutorial(engine__neuron__shard_weights="false")), REPLICA)

    assert "replicore-llama70b-r0.service" in directives(text, "After")[0].split()


def test_replicas_that_load_together_do_not_wait_for_each_other() -> None:
    text = text_of(render_systemd(tutorial()), REPLICA)

    assert "replicore-llama70b-r0.service" not in directives(text, "After")[0].split()


def test_replicas_with_a_compile_cache_start_after_the_one_that_fills_it() -> None:
    deployment = tutorial(engine__neuron__generation="native", supervisor__starts_together="2")
    text = text_of(render_systemd(deployment), REPLICA)

    assert "replicore-llama70b-r0.service" in directives(text, "After")[0].split()
    assert "replicore/llama70b/artefacts/" in directives(text, "StateDirectory")[0]


def test_replica_on_cpu_cores_is_pinned_and_limited() -> None:
    deployment = deployment_of(None, **VLLM_CPU)
    text = text_of(render_systemd(deployment), "replicore-vllm-r0.service")

    assert directives(text, "CPUAffinity") == [str(deployment.layout.ranges[0])]
    assert directives(text, "MemoryMax") != []


def test_units_pass_systemds_own_check(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    # It looks for the programs too
    deployment = tutorial(**{"engine.python": sys.executable})
    program = Path(sys.executable).with_name("inference_demo")
    files = render_systemd(deployment)
    write(files, tmp_path)
    units = [str(tmp_path / file.name) for file in files if file.name.startswith("replicore")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)

    said = [line for line in done.stderr.splitlines() if str(program) not in line]
    assert said == []
