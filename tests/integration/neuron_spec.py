"""A spec for the Neuron engine's stand-ins, whose compile can be made to go wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integration.neuron_environment import make_environment, make_model
from tests.integration.neuron_machine import pretend_trn2

_PROGRAM = Path(__file__).with_name("fake_inference_demo.py")
_SCRIPT = """#!/bin/sh
if [ "$*" = "run --help" ]; then exec cat {answer}; fi
exec {python} {program} "$@"
"""

_SPEC = """
name = "test"

[model]
source = "{model}"

[layout]
replicas = 2
tp = 2
batch_size = 4
max_model_len = 256

[engine]
kind = "neuron"
python = "{python}"

[engine.neuron]
artefacts = "{artefacts}"

[gateway]
port = 0

[workload]
input_tokens = {{ mean = 32 }}
output_tokens = {{ mean = 32 }}
"""


def write_spec(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make model, environment and spec below a folder; return the spec's path.

    It is for this machine, which is a trn2.48xlarge while the test runs.

    The variable ``FAKE_FAULT`` of ``engine.env`` says what goes wrong when it compiles.
    """
    pretend_trn2(folder / "tools", monkeypatch)
    python = make_environment(folder / "env")
    script = _SCRIPT.format(
        answer=python.with_name("demo.txt"), python=sys.executable, program=_PROGRAM
    )
    python.with_name("inference_demo").write_text(script)
    spec = folder / "spec.toml"
    model, artefacts = make_model(folder / "model"), folder / "artefacts"
    spec.write_text(_SPEC.format(model=model, python=python, artefacts=artefacts))
    return spec
