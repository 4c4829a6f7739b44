"""Wrong Neuron specs are refused before anything starts, on any machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.cli.findings import heed
from replicore.deploy.deployment import Deployment, Prepared, lay_out, prepare
from replicore.engines.neuron.engine import Neuron
from replicore.errors import ConfigError, InfeasiblePlan
from replicore.hardware.neuron.detect import NeuronHardware
from replicore.models.outline import outline
from replicore.spec.load import load_spec
from tests.unit.hardware.neuron.tools import FakeTools, listing
from tests.unit.neuron_specs import RIGHT, WRONG_SPECS, Keys, on


@pytest.fixture(autouse=True)
def _nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICORE_CACHE_DIR", str(tmp_path))


def planned(keys: Keys) -> Deployment:
    """The deployment as `up` checks it, but for what is asked of the engine's environment."""
    spec = load_spec(None, environ={}, overrides={**RIGHT, **keys})
    deployment = lay_out(prepare(spec, outline=True))
    heed(deployment)
    return deployment


@pytest.mark.parametrize(("keys", "fragments"), WRONG_SPECS)
def test_a_wrong_spec_is_refused_with_the_reason_and_what_would_work(
    keys: Keys, fragments: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(keys)

    said = f"{caught.value.message}\n{caught.value.hint}"
    assert [fragment for fragment in fragments if fragment not in said] == [], said


def test_there_are_forty_of_them() -> None:
    assert len(WRONG_SPECS) >= 40


def test_a_spec_for_cores_that_others_hold_is_refused_with_their_owner(tmp_path: Path) -> None:
    spec = load_spec(None, environ={}, overrides=RIGHT)
    held = {"neuron_processes": [{"pid": 221607, "command": "python -m vllm"}]}
    tools = FakeTools(neuron_ls=listing(held, *[{}] * 15))
    engine = Neuron(spec.engine, hardware=NeuronHardware(root=tmp_path, run=tools))
    machine, model = engine.detect(), outline(spec.model)
    degrees = engine.legal_tp(machine, model.shape)

    with pytest.raises(InfeasiblePlan) as caught:
        lay_out(Prepared(spec=spec, engine=engine, machine=machine, model=model, legal_tp=degrees))

    assert caught.value.message == (
        "2 replicas x 32 cores need 64 cores, 60 are usable (4-63), "
        'pid 221607 ("python -m vllm") holds 0-3; these fit: 1x32, 3x16'
    )


def test_a_degree_that_sources_disagree_about_is_taken_and_said_to_be_unverified() -> None:
    layout = planned(on("inf2.48xlarge", tp=16)).layout

    assert [str(cores) for cores in layout.ranges] == ["0-15"]
    assert layout.reason.endswith("; tp 16 is unverified on inf2.48xlarge")


def test_the_spec_that_they_are_made_from_is_right() -> None:
    assert [str(cores) for cores in planned({}).layout.ranges] == ["0-31", "32-63"]
