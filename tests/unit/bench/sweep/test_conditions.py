"""What all runs of a sweep have in common."""

from __future__ import annotations

import pytest

from replicore.bench.sweep.conditions import conditions_of
from replicore.hardware.simulated import SimulatedHardware
from replicore.spec import load_spec

MACHINE = SimulatedHardware(2).detect()


def found(**keys: object) -> dict[str, str]:
    overrides = {key.replace("__", "."): value for key, value in keys.items()}
    return conditions_of(load_spec(None, environ={}, overrides=overrides), MACHINE, requests=64)


@pytest.mark.parametrize(
    "keys",
    [
        {"layout__batch_size": "8"},
        {"engine__args": ["--n-batch", "512"]},
        {"workload__input_tokens__mean": "64"},
        {"workload__seed": "5"},
        {"gateway__policy": "round_robin"},
        {"model__revision": "v2"},
    ],
)
def test_key_that_changes_what_is_measured_is_a_condition(keys: dict[str, object]) -> None:
    assert found(**keys) != found()


@pytest.mark.parametrize(
    "keys",
    [
        {"name": "other"},
        {"layout__replicas": "2", "layout__tp": "1"},
        {"slo__ttft_p99": "1s"},
        {"workload__concurrency": "8"},
        {"gateway__port": "8001", "gateway__admin_port": "9000"},
    ],
)
def test_key_that_a_sweep_chooses_or_only_judges_by_is_none(keys: dict[str, object]) -> None:
    assert found(**keys) == found()


def test_conditions_name_the_machine_and_what_was_given() -> None:
    assert found()["machine.cores"] == "0-1"
    assert found()["requests"] == "64"
    assert found()["workload.seed"] == "unset"


def test_value_of_an_environment_variable_is_told_apart_but_not_told() -> None:
    one, other = (found(engine__env={"HF_TOKEN": token}) for token in ("secret-1", "secret-2"))

    assert one["engine.env.HF_TOKEN"].startswith("(hashed) ")
    assert "secret" not in "".join(one.values())
    assert one["engine.env.HF_TOKEN"] != other["engine.env.HF_TOKEN"]
