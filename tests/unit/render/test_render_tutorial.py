"""The rendered scripts do what the tutorial's do, but for what is wrong with those.

The tutorial's text is not ours to copy, so it is read where it is.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from replicore.render.service import plan_service
from replicore.render.shell.paths import ROOT
from replicore.render.shell.render import render_shell
from tests.unit.render.rendering import text_of, tutorial

TUTORIAL = Path(__file__).parents[4] / "shared" / "facts" / "trn2-dp-tutorial.rst"

pytestmark = pytest.mark.skipif(not TUTORIAL.exists(), reason=f"there is no {TUTORIAL}")

# What is otherwise here, on purpose: one length for both, and no option that does nothing.
MENDED = {"--max-context-length", "--seq-len", "--max-model-len", "--override-neuron-config"}
MENDED |= {"--port", "--use-v2-block-manager", "--results-dir", "--additional-sampling-params"}
# Quoting is not what they differ in, and our model has no slash at its end.
VALUES = {
    "$MODEL_PATH": "/ubuntu/model_hf/Llama-3.3-70B-Instruct",
    "$COMPILED_MODEL_PATH": "/partial",
    "$TP_DEGREE": "32",
    "$BATCH_SIZE": "4",
    "${tp_degree}": "32",
    "${bs}": "4",
}


def options(words: list[str]) -> dict[str, str]:
    """Return the value of each option; empty where it has none."""
    found = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            found[word] = "" if following.startswith("-") else following
    return found


def tutorials(program: str) -> dict[str, str]:
    """Return the options that the tutorial gives to a program."""
    text = TUTORIAL.read_text()
    start = re.search(rf"^.*{re.escape(program)} *\\$", text, re.MULTILINE)
    assert start is not None
    lines = []
    for line in text[start.end() + 1 :].splitlines():
        lines.append(line.strip().removesuffix("\\"))
        if not line.endswith("\\"):
            break
    command = " ".join(lines).split("2>&1")[0].split(" &")[0]
    for name, value in VALUES.items():
        command = command.replace(name, value)
    return options(shlex.split(command))


def kept(program: str) -> dict[str, str]:
    return {name: text for name, text in tutorials(program).items() if name not in MENDED}


def test_compiler_has_every_option_of_the_tutorials() -> None:
    command = plan_service(tutorial(), folder=ROOT).compile_command(Path("/partial"), Path("/work"))

    assert command is not None
    assert kept("inference_demo").items() <= options(list(command.argv)).items()


def test_servers_have_every_option_of_the_tutorials() -> None:
    for command in plan_service(tutorial(), folder=ROOT).commands():
        theirs = kept("python -m vllm.entrypoints.openai.api_server")
        assert theirs.items() <= options(list(command.argv)).items()


def test_servers_have_the_tutorials_cores() -> None:
    commands = plan_service(tutorial(), folder=ROOT).commands()
    cores = re.findall(r"deploy_vllm_endpoint.sh -p \d+ -c (\S+)", TUTORIAL.read_text())

    assert [command.env["NEURON_RT_VISIBLE_CORES"] for command in commands] == cores


def test_benchmark_sends_what_the_tutorials_does() -> None:
    settings = text_of(render_shell(tutorial()), "settings.sh")
    theirs = tutorials("python /root/llmperf/token_benchmark_ray.py")

    assert f"INPUT_TOKENS_MEAN={theirs['--mean-input-tokens']}\n" in settings
    assert f"OUTPUT_TOKENS_STDDEV={theirs['--stddev-output-tokens']}\n" in settings
    assert f"REQUESTS={theirs['--max-num-completed-requests']}\n" in settings


def test_benchmark_has_every_option_of_the_tutorials() -> None:
    script = text_of(render_shell(tutorial()), "bench.sh")

    for option in kept("python /root/llmperf/token_benchmark_ray.py"):
        assert f"{option} " in script
