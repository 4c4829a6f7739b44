from __future__ import annotations

import os
from typing import Any

import pytest

from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.engines.sim.engine import SimEngine, simulated_model
from replicore.engines.sim.options import SimOptions, parse_options
from replicore.engines.sim.scheduler import Timing
from replicore.errors import ConfigError
from replicore.spec import EngineSpec, ModelSpec

REPLICA = ReplicaPlan(
    index=0,
    cores=CoreRange.of([0, 1]),
    batch_size=3,
    max_model_len=512,
    model=simulated_model(ModelSpec(served_name="m")),
    host="127.0.0.1",
    port=5000,
)


def engine(sim: dict[str, Any] | None = None, **spec: Any) -> SimEngine:
    return SimEngine(EngineSpec.model_validate({"kind": "sim", "sim": sim or {}, **spec}))


def test_machine_has_the_cores_of_the_spec() -> None:
    assert str(engine({"cores": 64}).detect().cores) == "0-63"


def test_machine_has_as_many_cores_as_this_one_by_default() -> None:
    assert len(engine().detect().cores) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("cores", "degrees"), [(1, (1,)), (6, (1, 2, 4)), (8, (1, 2, 4, 8))])
def test_legal_tp_is_any_power_of_two_up_to_the_cores(cores: int, degrees: Any) -> None:
    sim = engine({"cores": cores})

    assert sim.legal_tp(sim.detect(), REPLICA.model.shape) == degrees


def test_command_starts_the_simulator_as_planned() -> None:
    rates = {"prefill_tokens_per_s": 10, "decode_tokens_per_s": 5, "decode_batch_slope": 0.1}
    sim = engine(
        {**rates, "prefix_cache": False, "faults": ["wedge=2", "load-failure"]},
        args=["--fault-once-file=f"],
        env={"A": "b"},
    )
    command = sim.command(REPLICA)

    assert command.argv[1:4] == ("-P", "-m", "replicore.engines.sim")
    options = parse_options([arg for arg in command.argv[4:] if "once" not in arg])
    assert options == SimOptions(
        port=5000,
        reuse_port=True,
        model="m",
        slots=3,
        max_model_len=512,
        timing=Timing(prefill_tokens_per_s=10, decode_tokens_per_s=5, decode_batch_slope=0.1),
        prefix_cache=False,
        faults=("wedge=2", "load-failure"),
    )
    assert command.argv[-1] == "--fault-once-file=f"
    assert (command.env, command.affinity) == ({"A": "b"}, None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"sim": {"faults": ["wegde"]}}, 'engine.sim.faults: fault "wegde" is unknown'),
        ({"args": ["--fault-once"]}, 'engine.args: the simulator has no option "--fault-once"'),
        ({"args": ["--port=1"]}, "engine.args: --port is set by replicore"),
    ],
)
def test_check_names_the_key_of_a_wrong_value(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        engine(**spec).check()

    assert message in caught.value.message


def test_check_takes_what_the_simulator_takes() -> None:
    engine({"faults": ["wedge"]}, args=["--fault-once-file", "f"]).check()


def test_simulated_model_needs_no_files() -> None:
    model = simulated_model(ModelSpec())

    assert (model.source, model.served_name) == ("simulated", "simulated")
    assert model.shape.weight_bytes == 0
