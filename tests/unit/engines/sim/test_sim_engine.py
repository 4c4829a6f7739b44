from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from replicore.cores import CoreRange
from replicore.deploy.deployment import plan_deployment
from replicore.engines.engine import ReplicaPlan
from replicore.engines.sim.engine import SimEngine
from replicore.engines.sim.options import SimOptions, parse_options
from replicore.engines.sim.scheduler import Timing
from replicore.engines.sim.shapes import parse_shape
from replicore.engines.sim.stand_in import simulated_model
from replicore.errors import ConfigError, InfeasiblePlan, ModelError
from replicore.spec import EngineSpec, ModelSpec, SimSpec, Spec

LLAMA_70B = ModelSpec(source="meta-llama/Llama-3.3-70B-Instruct")

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


def test_command_of_a_profile_says_which_device_model_and_cores_it_is() -> None:
    replica = replace(REPLICA, model=simulated_model(LLAMA_70B, SimSpec(profile="trn2")))
    command = engine({"profile": "trn2", "speed": 20}).command(replica)
    options = parse_options(command.argv[4:])

    assert (options.profile, options.tp, options.speed) == ("trn2", 2, 20)
    assert parse_shape(options.shape).weight_bytes == 141_107_412_992
    assert options.timing == Timing()


def test_machine_of_a_profile_has_its_cores_and_memory() -> None:
    machine = engine({"profile": "trn2"}).detect()

    assert (machine.kind, machine.name, str(machine.cores)) == ("sim", "simulated trn2", "0-63")
    assert machine.core_memory_bytes == 24 * 2**30
    assert machine.memory_bytes == 64 * 24 * 2**30
    assert machine.aligned


@pytest.mark.parametrize(
    ("sim", "degrees"),
    [
        ({"profile": "trn2"}, (1, 2, 4, 8, 16, 32, 64)),
        ({"profile": "trn2", "cores": 16}, (1, 2, 4, 8, 16)),
        ({"profile": "inf2"}, (1, 2, 4, 8)),  # 24 does not divide the 64 heads
        ({"profile": "h100"}, (1, 2, 4, 8)),
        ({"profile": "cpu", "cores": 4}, (1, 2, 4)),
    ],
)
def test_legal_tp_of_a_profile_is_the_device_s_that_the_heads_allow(
    sim: dict[str, Any], degrees: tuple[int, ...]
) -> None:
    simulated = engine(sim)
    model = simulated_model(LLAMA_70B, SimSpec.model_validate(sim))

    assert simulated.legal_tp(simulated.detect(), model.shape) == degrees


def test_layout_that_does_not_fit_on_the_device_is_refused() -> None:
    layout = {"replicas": 16, "tp": 4, "batch_size": 4, "max_model_len": 8192}
    spec = {"engine": {"kind": "sim", "sim": {"profile": "trn2"}}, "layout": layout}
    with pytest.raises(InfeasiblePlan) as caught:
        plan_deployment(Spec.model_validate({**spec, "model": {"source": LLAMA_70B.source}}))

    assert "one replica of tp 4" in caught.value.message
    assert "96.0 GiB is available" in caught.value.message


@pytest.mark.parametrize(
    ("sim", "caches"), [({}, True), ({"profile": "h100"}, True), ({"profile": "trn2"}, False)]
)
def test_static_batches_have_no_prefix_cache(sim: dict[str, Any], caches: bool) -> None:
    assert engine(sim).traits.prefix_cache == caches


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"sim": {"faults": ["wegde"]}}, 'engine.sim.faults: fault "wegde" is unknown'),
        ({"args": ["--fault-once"]}, 'engine.args: the simulator has no option "--fault-once"'),
        ({"args": ["--port=1"]}, "engine.args: --port is set by replicore, from [layout]"),
        ({"args": ["--tp=1"]}, "engine.args: --tp is set by replicore, from [layout]"),
        ({"args": ["--profile=h100"]}, "--profile is set by replicore, from engine.sim.profile"),
        ({"sim": {"kv_tokens": 99}}, "engine.sim: --kv-tokens: 99 is for continuous batching"),
    ],
)
def test_check_names_the_key_of_a_wrong_value(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        engine(**spec).check()

    assert message in caught.value.message


def test_check_takes_what_the_simulator_takes() -> None:
    engine({"faults": ["wedge"]}, args=["--fault-once-file", "f"]).check()


def test_check_takes_a_kv_cache_where_the_profile_batches_continuously() -> None:
    engine({"profile": "h100", "kv_tokens": 65_536}).check()


def test_simulated_model_of_a_profile_has_the_sizes_of_the_real_one() -> None:
    model = simulated_model(LLAMA_70B, SimSpec(profile="trn2"))

    assert (model.source, model.shape.layers) == (LLAMA_70B.source, 80)
    assert str(model.path) == os.devnull


def test_simulated_model_of_a_profile_that_nothing_knows_is_refused() -> None:
    unknown = ModelSpec(source="nobody/nothing-7b", offline=True)
    with pytest.raises(ModelError, match="its sizes are not in"):
        simulated_model(unknown, SimSpec(profile="trn2"))


def test_simulated_model_needs_no_files() -> None:
    model = simulated_model(ModelSpec())

    assert (model.source, model.served_name) == ("simulated", "simulated")
    assert model.shape.weight_bytes == 0
