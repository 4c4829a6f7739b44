"""What a plan knows of a simulated device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from replicore.deploy.deployment import Prepared, prepare
from replicore.deploy.knowledge import predictor_for
from replicore.deploy.question import question_of
from replicore.deploy.simulated_record import simulated_record
from replicore.engines.sim.profiles import PROFILES, step_time
from replicore.planner.files.load import FOLDER_VARIABLE
from replicore.planner.files.writing import write_calibration
from replicore.planner.plan import Service
from replicore.planner.question import Load
from replicore.planner.recommend import answer_of
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import ClosedLoop, Requests, normal
from replicore.planner.simulate.model import FleetModel, ReplicaModel
from replicore.planner.simulate.summary import Summary, summarise
from replicore.spec.load import load_spec

INPUT, OUTPUT, DEVIATION = 500, 100, 20


@pytest.fixture(autouse=True)
def _no_calibrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


def simulated(profile: str, **keys: object) -> Prepared:
    asked = {
        "engine.kind": "sim",
        "engine.sim.profile": profile,
        "model.source": "meta-llama/Llama-3.1-8B-Instruct",
        "workload.input_tokens.mean": INPUT,
        "workload.output_tokens.mean": OUTPUT,
        "workload.input_tokens.stddev": DEVIATION,
        "workload.output_tokens.stddev": DEVIATION,
        "layout.max_model_len": 2048,
    }
    dotted = {key.replace("__", "."): value for key, value in keys.items()}
    return prepare(load_spec(None, environ={}, overrides=asked | dotted), outline=True)


def planned(prepared: Prepared, *, tp: int, slots: int) -> Service:
    """Return what is planned of one replica whose slots are taken."""
    question = question_of(prepared, batch_sizes=[slots], load=Load(concurrency=slots))
    answer = answer_of(question, predictor_for(prepared, question))
    (found,) = (each for each in answer.outcomes if (each.replicas, each.tp) == (1, tp))
    assert found.service is not None
    return found.service


def run(profile: str, prepared: Prepared, *, tp: int, slots: int) -> Summary:
    """Return what the simulator's own steps come to."""
    device = PROFILES[profile]
    steps = step_time(
        device, prepared.model.shape, tp=tp, batch_size=slots, max_model_len=2048
    ).faster(prepared.spec.engine.sim.speed)
    fleet = FleetModel(replicas=(ReplicaModel(steps=steps, slots=slots, batching=device.batching),))
    rng = np.random.default_rng(7)
    requests = Requests(
        input_tokens=normal(INPUT, DEVIATION, 20 * slots, rng),
        output_tokens=normal(OUTPUT, DEVIATION, 20 * slots, rng),
    )
    found = simulate(fleet, ClosedLoop(slots), requests)
    last_s = float(found.arrival_s.max())
    return summarise(found, after_s=last_s / 4, until_s=last_s)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("tp", "slots"), [(2, 1), (2, 8), (4, 24)])
def test_a_simulated_device_is_as_fast_as_its_simulator(profile: str, tp: int, slots: int) -> None:
    device = simulated(profile, layout__replicas=1, engine__sim__cores=8, engine__sim__speed=3)

    plan = planned(device, tp=tp, slots=slots)
    life = run(profile, device, tp=tp, slots=slots)
    assert plan.tpot_s.value == pytest.approx(life.tpot.mean, rel=0.1)
    assert plan.replica_tokens_per_s.value == pytest.approx(life.output_tokens_per_s, rel=0.1)


def test_a_calibration_of_ones_own_goes_before_the_profile(tmp_path: Path) -> None:
    device = simulated("h100")
    question = question_of(device)
    record = simulated_record(device, question)
    assert record is not None
    own = replace(record, calibration=replace(record.calibration, source="mine"), observations=())
    write_calibration(tmp_path / "own.toml", own)

    assert answer_of(question, predictor_for(device, question)).calibrated_from.endswith("(mine)")


def test_nothing_is_known_of_a_device_that_holds_no_replica() -> None:
    device = simulated("inf2", engine__sim__cores=1)  # 16 GB of weights in 16 GiB

    assert simulated_record(device, question_of(device)) is None
