from __future__ import annotations

from pathlib import Path

import pytest

from replicore.engines.neuron.demo_flags import flags_in
from replicore.engines.neuron.demo_help import ask_flags
from replicore.errors import ConfigError
from tests.unit.engines.neuron.fake_environment import DEMO_FLAGS, FORK, demo_help, environment


@pytest.mark.parametrize("version", DEMO_FLAGS)
def test_all_flags_of_a_help_text_are_found_and_no_others(version: str) -> None:
    written = {f"--{word.rstrip('=+!')}" for word in DEMO_FLAGS[version].split()}
    negated = {f"--no-{w.rstrip('!')}" for w in DEMO_FLAGS[version].split() if w.endswith("!")}

    assert flags_in(demo_help(version)) == written | negated | {"--help"} - {"-h"}


def test_installed_program_is_asked(tmp_path: Path) -> None:
    environment(tmp_path, FORK, demo="0.3")
    flags = ask_flags(tmp_path / "inference_demo", {})

    assert flags.asked
    assert "--save-sharded-checkpoint" in flags.names


def test_program_that_prints_no_help_is_refused_with_its_last_line(tmp_path: Path) -> None:
    program = tmp_path / "inference_demo"
    program.write_text("#!/bin/sh\necho 'ImportError: libneuronxla' >&2\nexit 1\n")
    program.chmod(0o755)

    with pytest.raises(ConfigError, match="prints no flags: ImportError: libneuronxla"):
        ask_flags(program, {})


def test_program_that_cannot_run_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "inference_demo"
    program.touch(mode=0o644)

    with pytest.raises(ConfigError, match="cannot run"):
        ask_flags(program, {})


def test_program_has_the_variables_of_the_spec(tmp_path: Path) -> None:
    program = tmp_path / "inference_demo"
    program.write_text('#!/bin/sh\necho "  --compiled-model-path X"\necho "  --$FLAG"\n')
    program.chmod(0o755)

    assert "--of-this-library" in ask_flags(program, {"FLAG": "of-this-library"}).names
