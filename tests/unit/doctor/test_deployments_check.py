"""What is said of deployments that run, of what they leave, and of what they load."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from replicore.cores import CoreRange
from replicore.deploy.state import Claims, DeploymentFolder, UnitRecord
from replicore.doctor.artefact import check_artefact
from replicore.doctor.case import Place
from replicore.doctor.deployments import check_deployments
from replicore.doctor.diagnosis import diagnose
from replicore.doctor.opening import open_case
from tests.unit.doctor.cases import only, place, problems, write

SIMULATED = {"engine.kind": "sim", "layout.replicas": 2, "layout.tp": 2, "engine.sim.cores": 4}


@pytest.fixture(name="here")
def _here(tmp_path: Path) -> Place:
    return place(tmp_path)


@pytest.fixture(name="running")
def _running(here: Place) -> Iterator[DeploymentFolder]:
    """A deployment of the default name that runs, with two replicas."""
    with Claims(here.state) as claims:
        folder = claims.claim("default", "cpu", CoreRange.parse("0-3"))
    units = (UnitRecord(name="r0", cores="0-1"), UnitRecord(name="r1", cores="2-3"))
    folder.write(replace(folder.record, url="http://127.0.0.1:8000", units=units))
    yield folder
    folder.close()


def test_a_running_deployment_is_told(here: Place, running: DeploymentFolder) -> None:
    found, _ = open_case(here, None, {})

    (finding,) = check_deployments(here, found)
    assert finding.message == "default runs on cores 0-3, http://127.0.0.1:8000/v1"


def test_a_running_deployment_is_laid_out_as_it_runs(
    here: Place, running: DeploymentFolder
) -> None:
    settings = {**SIMULATED, "layout.replicas": "auto", "layout.tp": "auto"}
    found, findings = open_case(here, None, settings)

    assert problems(findings) == []
    assert found.deployment is not None
    assert (found.deployment.layout.replicas, found.deployment.layout.tp) == (2, 2)


def test_the_port_of_a_running_deployment_is_no_problem(
    here: Place, running: DeploymentFolder
) -> None:
    found = diagnose(here, None, SIMULATED)

    assert "in use by default itself, which runs" in " ".join(
        finding.message for finding in found.findings if finding.check == "ports"
    )


def stray(here: Place, deployment: str) -> None:
    """Let this process look as if a deployment had started it."""
    write(here.root, {f"proc/{os.getpid()}/environ": f"A=1\0REPLICORE_DEPLOYMENT={deployment}\0"})


def test_processes_of_an_ended_deployment_are_a_warning(
    here: Place, running: DeploymentFolder
) -> None:
    stray(here, running.record.id)
    running.write(replace(running.record, last_id=running.record.id, id="new"))
    found, _ = open_case(here, None, {})
    finding = only(check_deployments(here, found), "strays")

    assert finding.message == "default has ended, but 1 process of it still runs"
    assert finding.fix.endswith(f"or `kill -9 {os.getpid()}`")


@pytest.mark.parametrize("deployment", ["of another state folder", ""])
def test_processes_of_unknown_deployments_are_left_alone(
    here: Place, running: DeploymentFolder, deployment: str
) -> None:
    stray(here, deployment or running.record.id)
    found, _ = open_case(here, None, {})

    assert problems(check_deployments(here, found)) == []


@pytest.mark.parametrize("settings", [SIMULATED, {}])
def test_what_needs_no_artefact_has_nothing_to_say(
    here: Place, settings: dict[str, object]
) -> None:
    found, _ = open_case(here, None, settings)

    assert list(check_artefact(here, found)) == []


TRN2 = {"dev/neuron0": "", "sys/devices/virtual/dmi/id/product_name": "trn2.48xlarge\n"}


def tutorial(here: Place) -> dict[str, object]:
    """Return the settings of the tutorial's deployment, with a store of its own."""
    return {
        "engine.kind": "neuron",
        "engine.neuron.instance": "trn2.48xlarge",
        "engine.neuron.artefacts": str(here.cache),
        "model.source": "meta-llama/Llama-3.3-70B-Instruct",
        "layout.replicas": 2,
        "layout.tp": 32,
    }


def test_a_compiled_model_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    here = place(tmp_path, TRN2)
    found, _ = open_case(here, None, tutorial(here))
    finding = only(check_artefact(here, found), "artefact")

    assert (finding.level, finding.fix) == ("warning", "`replicore compile SPEC`")


def test_a_spec_for_another_machine_is_linted_without_looking_at_this_one(here: Place) -> None:
    found, findings = open_case(here, None, tutorial(here))

    assert problems(findings) == []
    assert "2 replicas x 32 cores" in only(findings, "layout").message
    assert only(findings, "elsewhere").message.startswith("engine.neuron.instance: trn2.48xlarge")
    assert found.deployment is None


def test_gpus_that_are_only_planned_are_not_looked_for(here: Place) -> None:
    settings = {
        "engine.kind": "vllm",
        "engine.vllm.devices": "8x80GiB",
        "model.source": "meta-llama/Llama-3.3-70B-Instruct",
    }
    found, findings = open_case(here, None, settings)

    assert problems(findings) == []
    assert only(findings, "elsewhere").message.startswith("engine.vllm.devices: 8x80GiB is not")
    assert found.deployment is None
