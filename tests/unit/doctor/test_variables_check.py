"""What is said of inherited variables, and of installed packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from replicore.doctor.packages import check_packages
from replicore.doctor.variables import check_variables
from tests.unit.doctor.cases import case, only, place, problems


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}, "LD_LIBRARY_PATH is set"),
        ({"PYTHONPATH": "/src"}, "PYTHONPATH is set"),
        ({"VLLM_USE_V1": "0", "NCCL_DEBUG": "INFO"}, "NCCL_DEBUG, VLLM_USE_V1: set in this shell"),
        ({"http_proxy": "http://proxy:3128"}, "ask the proxy for the gateway"),
    ],
)
def test_a_variable_that_engines_inherit_is_a_warning(
    tmp_path: Path, environ: dict[str, str], expected: str
) -> None:
    (finding,) = problems(check_variables(place(tmp_path, environ=environ), case()))

    assert expected in finding.message


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"VLLM_USE_V1": ""},
        {"WORLD_SIZE": "2", "NEURON_RT_NUM_CORES": "64"},
        {"http_proxy": "http://proxy:3128", "no_proxy": "localhost,127.0.0.1"},
    ],
)
def test_variables_that_do_not_reach_engines_are_no_problem(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert problems(check_variables(place(tmp_path, environ=environ), case())) == []


def test_variables_that_are_taken_away_are_told(tmp_path: Path) -> None:
    messages = [
        finding.message
        for finding in check_variables(place(tmp_path, environ={"RANK": "1"}), case())
    ]

    assert "RANK: set here, and taken away from engines" in messages


def test_versions_are_told(tmp_path: Path) -> None:
    found = list(check_packages(place(tmp_path), case()))

    assert problems(found) == []
    assert "llama.cpp: xllamacpp" in only(found, "engine").message


def test_an_environment_without_neuron_is_told_as_such(tmp_path: Path) -> None:
    neuron = case({"engine.kind": "neuron", "engine.python": sys.executable})

    assert (
        "with nothing for Neuron, in"
        in only(check_packages(place(tmp_path), neuron), "engine").message
    )
