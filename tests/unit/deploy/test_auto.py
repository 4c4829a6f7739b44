"""The planner chooses what a spec leaves open, on machines of any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.deployment import Prepared, lay_out, prepare
from replicore.deploy.layout import Layout
from replicore.deploy.question import question_of
from replicore.hardware.machine import NumaNode
from replicore.planner.files.load import FOLDER_VARIABLE, load_predictor
from replicore.planner.recommend import plan
from replicore.spec.load import load_spec
from replicore.units import GIB

LLAMA_70B = "meta-llama/Llama-3.1-70B-Instruct"


@pytest.fixture(autouse=True, name="calibrations")
def _calibrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own calibrations: none."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def prepared(**keys: object) -> Prepared:
    """Return what a spec comes to, ``layout__tp`` standing for the key ``layout.tp``."""
    dotted = {key.replace("__", "."): value for key, value in keys.items()}
    return prepare(load_spec(None, environ={}, overrides=dotted), outline=True)


def on_cores(count: int, **keys: object) -> Prepared:
    """Return the embedded model's on a machine with so many cores of one NUMA node."""
    found, cores = prepared(**keys), CoreRange(tuple(range(count)))
    machine = replace(
        found.machine,
        name="AMD EPYC",
        cores=cores,
        core_limit=count,
        numa=(NumaNode(index=0, cores=cores),),
        memory_bytes=64 * GIB,
    )
    degrees = found.engine.legal_tp(machine, found.model.shape)
    return replace(found, machine=machine, legal_tp=degrees)


def chosen(found: Prepared, *, taken: str = "") -> Layout:
    cores = CoreRange.parse(taken) if taken else NO_CORES
    return lay_out(found, taken=cores).layout


@pytest.mark.parametrize("cores", [1, 2, 4, 16])
def test_embedded_model_that_is_saturated_gets_a_replica_on_every_core(cores: int) -> None:
    layout = chosen(on_cores(cores))

    # as benchmarks/results/dp_vs_tp.json has it: 2x1 gives 1.08 to 1.16 times the tokens of 1x2
    assert (layout.replicas, layout.tp) == (cores, 1)


def test_single_user_gets_all_cores_in_one_replica() -> None:
    layout = chosen(on_cores(2, workload__concurrency=1))

    # as benchmarks/results/dp_vs_tp.json has it: 43 tok/s against 24
    assert (layout.replicas, layout.tp) == (1, 2)


def test_reason_has_the_rate_and_what_the_next_best_would_give() -> None:
    reason = chosen(on_cores(2)).reason

    assert reason.startswith("2 replicas x 1 core: ")
    assert " output tok/s; " in reason
    assert " times the tokens of 1 x TP2 with batch 4" in reason


def test_cores_of_other_deployments_are_left_out() -> None:
    layout = chosen(on_cores(4, workload__concurrency=1), taken="0-1")

    assert [str(cores) for cores in layout.ranges] == ["2-3"]


def test_open_tp_of_one_replica_takes_all_cores() -> None:
    assert chosen(on_cores(4, layout__replicas=1)).tp == 4


def test_open_replicas_of_a_tp_are_as_many_as_there_is_load_for() -> None:
    assert chosen(on_cores(8, layout__tp=2)).replicas == 4
    assert chosen(on_cores(8, layout__tp=2, workload__concurrency=1)).replicas == 1


def test_tutorials_model_is_split_over_fewer_cores_than_the_machine_has() -> None:
    keys = {
        "model.source": LLAMA_70B,
        "engine.kind": "neuron",
        "engine.neuron.instance": "trn2.48xlarge",
        "layout.max_model_len": 8192,
    }
    layout = chosen(prepare(load_spec(None, environ={}, overrides=keys), outline=True))

    assert layout.tp in (8, 16, 32)
    assert layout.replicas * layout.tp == 64


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"engine__kind": "sim", "engine__sim__cores": 4}, "engine.sim.profile: unset"),
        (
            {
                "engine__kind": "vllm",
                "engine__vllm__devices": "8x80GiB",
                "model__source": LLAMA_70B,
            },
            "is no device that replicore has a data sheet of",
        ),
    ],
)
def test_where_nothing_can_be_predicted_the_rule_fills_the_machine_and_says_why(
    keys: dict[str, object], why: str
) -> None:
    layout = chosen(prepared(**keys))

    assert layout.replicas > 1
    assert "is the smallest whose memory" in layout.reason
    assert "by rule: " in layout.reason
    assert why in layout.reason


def test_calibration_that_cannot_be_read_leaves_the_choice_to_the_rule(
    calibrations: Path,
) -> None:
    (calibrations / "broken.toml").write_text("format = ")

    layout = chosen(on_cores(2, workload__concurrency=1))

    assert (layout.replicas, layout.tp) == (2, 1)
    assert "broken.toml" in layout.reason


def test_planner_is_not_asked_for_a_sweeps_candidates() -> None:
    found = on_cores(8, layout__tp=2, workload__concurrency=1)

    assert lay_out(found, predict=False).layout.replicas == 4


@pytest.mark.parametrize("concurrency", [None, 1, 4, 16])
@pytest.mark.parametrize("cores", [2, 6, 16])
def test_up_takes_what_plan_recommends_for_the_same_slots(
    cores: int, concurrency: int | None
) -> None:
    keys = {} if concurrency is None else {"workload__concurrency": concurrency}
    found = on_cores(cores, layout__batch_size=8, **keys)

    best = plan(question_of(found, batch_sizes=(8,)), load_predictor()).best

    layout = chosen(found)
    assert best is not None
    assert (layout.replicas, layout.tp, layout.batch_size) == (best.replicas, best.tp, 8)
