from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from replicore.artefacts.manifest import MANIFEST
from replicore.errors import ConfigError, ReplicaStartError
from tests.unit.engines.answers import ask, serving
from tests.unit.engines.neuron.deployments import MODEL, SHAPE, engine, plan, served_with
from tests.unit.engines.neuron.fake_environment import FORK, NATIVE, NXDI, environment


def test_generation_is_what_is_installed_once_it_was_checked(tmp_path: Path) -> None:
    neuron = engine(python=environment(tmp_path, NATIVE))
    before = neuron.generation.name
    neuron.check()

    assert before == "fork"
    assert neuron.generation.name == "native"
    assert "NEURON_VISIBLE_DEVICES" in neuron.command(plan()).env


def test_rendering_without_the_environment_is_for_the_tutorials_generation() -> None:
    neuron = engine(python=Path("/no/such/python"))

    assert "--override-neuron-config" in neuron.command(plan()).argv
    assert neuron.recipe(plan(), neuron.detect()).required


def test_generation_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    python = environment(tmp_path, NXDI)

    with pytest.raises(ConfigError, match=r'generation: "native" is not .*; use "nxdi" or "auto"'):
        engine(python=python, generation="native").check()


def test_environment_without_vllm_for_neuron_is_refused(tmp_path: Path) -> None:
    python = environment(tmp_path, {"vllm": "0.11.0"})

    with pytest.raises(ConfigError, match=r"engine.python: .* has no vLLM for Neuron"):
        engine(python=python).check()


def test_environment_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'engine.python: "/no/python" cannot run'):
        engine(python=Path("/no/python")).check()


def test_unknown_option_is_refused_with_the_nearest(tmp_path: Path) -> None:
    python = environment(tmp_path, FORK, platform_file=True)
    neuron = engine("--blok-size", "32", python=python, cache=tmp_path / "cache")

    with pytest.raises(ConfigError, match=r"0\.7\.2\+neuron219; did you mean --block-size"):
        neuron.check()


def test_known_option_is_passed_on(tmp_path: Path) -> None:
    python = environment(tmp_path, FORK, platform_file=True)
    neuron = engine("--block-size", "32", python=python, cache=tmp_path / "cache")
    neuron.check()

    assert neuron.command(plan()).argv[-2:] == ("--block-size", "32")
    assert list((tmp_path / "cache").rglob("*.json")), "what vLLM has is kept where it was told"


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--max-model-len", "layout.max_model_len"),
        ("--device", "engine.kind"),
        ("--override_neuron_config={}", "engine.neuron.config"),
        ("--additional-config", "engine.neuron.config"),
        ("--dtype", "engine.neuron.dtype"),
    ],
)
def test_option_that_the_plan_decides_is_refused(option: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"set by replicore from {key}; use that key"):
        engine(option, "1")


def test_sampling_that_is_compiled_need_not_be_told_again() -> None:
    silent = engine(on_device_sampling={"override": False}, config={"skip_warmup": False})

    assert served_with(silent.command(plan()))["--override-neuron-config"] == [
        {"skip_warmup": False}
    ]


@pytest.mark.parametrize("name", ["neuron_config", "override_neuron_config"])
def test_table_within_the_table_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"engine.neuron.config.{name}: replicore writes this"):
        engine(config={name: {"skip_warmup": False}})


@pytest.mark.parametrize("generation", ["fork", "nxdi", "native"])
@pytest.mark.parametrize("name", ["WORLD_SIZE", "LOCAL_RANK", "NEURON_RT_NUM_CORES"])
def test_variables_of_other_launchers_are_taken_away(generation: str, name: str) -> None:
    assert name in engine(generation=generation).command(plan()).unset


@pytest.mark.parametrize("generation", ["fork", "nxdi", "native"])
def test_no_variable_is_both_set_and_taken_away(generation: str) -> None:
    command = engine(generation=generation).command(plan(first_port=20_000))

    assert not set(command.unset) & set(command.env)


def test_replicas_rendezvous_on_ports_of_their_own() -> None:
    env = engine().command(plan(first_port=20_000)).env

    assert env["VLLM_PORT"] == "20000"
    assert 20_000 < int(env["MASTER_PORT"]) < 20_064


def test_replica_compiles_by_accident_only_in_its_own_folder(tmp_path: Path) -> None:
    env = engine(generation="nxdi").command(plan(folder=tmp_path)).env

    assert env["BASE_COMPILE_WORK_DIR"] == str(tmp_path / "nxd_model")


def test_compiled_model_is_not_where_vllm_keeps_its_cache(tmp_path: Path) -> None:
    folder, artefact = tmp_path / "r0", tmp_path / "artefact"
    env = engine(generation="fork").command(plan(folder=folder, artefact=artefact)).env

    assert env["VLLM_CACHE_ROOT"] == str(folder)


def test_host_threads_are_shared_by_the_replicas() -> None:
    env = engine().command(plan()).env

    assert env["OMP_NUM_THREADS"] == "96"  # 192 vCPUs of a trn2.48xlarge, 2 replicas
    assert env["NEURON_PROCESS_TAG"] == "r0"


def test_lnc_is_what_the_instance_is_set_to_by_default() -> None:
    for instance, lnc in (("trn2.48xlarge", "2"), ("inf2.48xlarge", "1")):
        env = engine(instance=instance, lnc=None).command(plan("0-7")).env
        assert env["NEURON_LOGICAL_NC_CONFIG"] == env["NEURON_RT_VIRTUAL_CORE_SIZE"] == lnc


def test_engine_env_overrides_ours() -> None:
    neuron = engine(env={"OMP_NUM_THREADS": "8", "NEURON_RT_EXEC_TIMEOUT": "900"})
    command = neuron.compile_command(plan(), artefact=Path("/a"), work=Path("/w"))

    assert neuron.command(plan()).env["OMP_NUM_THREADS"] == "8"
    assert command.env["NEURON_RT_EXEC_TIMEOUT"] == "900"


def test_engine_env_is_not_taken_away_from_the_compiler() -> None:
    neuron = engine(env={"NEURON_CC_FLAGS": "-O1"})
    command = neuron.compile_command(plan(), artefact=Path("/a"), work=Path("/w"))

    assert command.env["NEURON_CC_FLAGS"] == "-O1"
    assert not set(command.unset) & set(command.env)


def test_legal_degrees_are_the_devices_that_divide_the_heads() -> None:
    neuron = engine()
    machine = neuron.detect()

    assert neuron.legal_tp(machine, SHAPE) == (1, 2, 4, 8, 16, 32, 64)
    assert neuron.legal_tp(machine, dataclasses.replace(SHAPE, heads=40)) == (1, 2, 4, 8)


def test_gguf_file_is_refused() -> None:
    neuron = engine()
    shape = dataclasses.replace(SHAPE, file_format="gguf")

    with pytest.raises(ConfigError, match=r"model.source: the model is a GGUF file"):
        neuron.legal_tp(neuron.detect(), shape)


def test_generation_that_does_not_run_on_the_chip_is_refused() -> None:
    neuron = engine(instance="inf2.48xlarge", lnc=1, generation="native")

    with pytest.raises(ConfigError, match=r'"native" does not run on inf2 .*: "fork", "nxdi"'):
        neuron.legal_tp(neuron.detect(), SHAPE)


@pytest.mark.parametrize(
    ("generation", "shard_weights", "together"),
    [("fork", True, None), ("fork", False, 1), ("nxdi", True, None), ("native", True, 1)],
)
def test_replicas_load_one_by_one_where_they_would_disturb_each_other(
    generation: str, shard_weights: bool, together: int | None
) -> None:
    neuron = engine(generation=generation, shard_weights=shard_weights)

    assert neuron.starts_together == together


def test_streams_continue_by_token_ids_where_vllm_has_them() -> None:
    has_ids = {g: engine(generation=g).traits.token_ids for g in ("fork", "nxdi", "native")}

    assert has_ids == {"fork": False, "nxdi": True, "native": True}


@pytest.mark.parametrize(
    ("generation", "args", "cached"),
    [
        ("nxdi", (), False),
        ("nxdi", ("--enable-prefix-caching",), True),
        ("native", (), True),
        ("native", ("--no-enable-prefix-caching",), False),
    ],
)
def test_prefix_cache_is_known_from_the_options(
    generation: str, args: tuple[str, ...], cached: bool
) -> None:
    neuron = engine(*args, generation=generation)
    options = served_with(neuron.command(plan()))

    assert neuron.traits.prefix_cache is cached
    assert not {"--enable-prefix-caching", "--no-enable-prefix-caching"} <= set(options)


def test_whole_cache_makes_a_miss_fatal_but_for_the_first_replica(tmp_path: Path) -> None:
    fatal = "VLLM_NEURON_DISABLE_WARMUP_COMPILE"
    replicas = [plan("0-7", artefact=tmp_path), plan("8-15", index=1, artefact=tmp_path)]
    neuron = engine(generation="native")
    while_filling = [fatal in neuron.command(replica).env for replica in replicas]
    (tmp_path / MANIFEST).touch()
    when_whole = [fatal in neuron.command(replica).env for replica in replicas]

    assert while_filling == [False, False]
    assert when_whole == [False, True]


def run_check(card: dict[str, Any]) -> None:
    """Run ``check_ready`` against a server whose model has this card."""
    ask(serving(card), lambda port: engine().check_ready(plan(port=port)))


def test_replica_that_serves_what_was_planned_is_ready() -> None:
    run_check({"id": MODEL.served_name, "max_model_len": 8192})


def test_replica_that_serves_other_lengths_will_never_be_ready() -> None:
    with pytest.raises(ReplicaStartError, match=r"layout.max_model_len: r0 .* found 12800"):
        run_check({"id": MODEL.served_name, "max_model_len": 12800})
