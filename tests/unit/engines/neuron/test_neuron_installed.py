from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from replicore.engines.neuron.installed import generation_of, installed_in
from tests.unit.engines.neuron.fake_environment import FORK, NATIVE, NXDI, environment


@pytest.mark.parametrize(
    ("versions", "platform_file", "name"),
    [
        (FORK, True, "fork"),
        ({"vllm": "0.9.2.dev0+neuron226"}, True, "fork"),
        (NXDI, False, "nxdi"),
        ({"vllm": "0.16.0", "vllm-neuron": "0.5.0"}, False, "nxdi"),
        ({"vllm": "0.21.0", "vllm-neuron": "0.21.0.1.0.0"}, False, "native"),
        (NATIVE, False, "native"),
        ({"vllm": "0.11.0"}, False, None),
        ({"vllm-neuron": "0.24.0.1.1.0"}, False, None),
        ({}, False, None),
    ],
)
def test_packages_tell_the_generation(
    versions: Mapping[str, str], platform_file: bool, name: str | None
) -> None:
    found = generation_of(versions, has_platform_file=platform_file)

    assert (found.name if found else None) == name


def test_environment_is_asked_for_its_packages(tmp_path: Path) -> None:
    found = installed_in(str(environment(tmp_path, NXDI)))

    assert found.versions == NXDI
    assert found.python == "3.10"


def test_real_interpreter_without_vllm_answers() -> None:
    found = installed_in(sys.executable)

    assert found.python == "{}.{}".format(*sys.version_info[:2])
    assert found.generation is None
