from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.engines.llamacpp import LlamaCpp
from replicore.errors import ConfigError, InfeasiblePlan
from replicore.hardware.simulated import SimulatedHardware
from replicore.models.shape import Model, ModelShape
from replicore.spec import EngineSpec

SHAPE = ModelShape(
    architecture="llama",
    layers=30,
    hidden=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    vocab=49152,
    max_model_len=8192,
    weight_bytes=96_576_768,
    file_format="gguf",
)
MODEL = Model(source="m.gguf", served_name="smollm2", path=Path("/models/m.gguf"), shape=SHAPE)
PLAN = ReplicaPlan(
    index=1,
    cores=CoreRange.parse("2-3"),
    batch_size=4,
    max_model_len=2048,
    model=MODEL,
    host="127.0.0.1",
    port=40001,
)


def engine(*args: str, python: Path | None = None, env: dict[str, str] | None = None) -> LlamaCpp:
    return LlamaCpp(EngineSpec(args=args, python=python, env=env or {}))


def options_of(engine: LlamaCpp, plan: ReplicaPlan = PLAN) -> dict[str, str]:
    assignments = (argument.partition("=") for argument in engine.command(plan).argv[2:])
    return {name: value for name, _, value in assignments}


def interpreter(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_command_carries_the_whole_plan() -> None:
    options = options_of(engine())

    assert options["model.path"] == "/models/m.gguf"
    assert options["model_alias"] == '["smollm2"]'
    assert options["hostnames"] == '["127.0.0.1"]'
    assert options["port"] == "40001"
    assert options["n_parallel"] == "4"
    assert options["n_ctx"] == "8192"  # 4 slots x 2048 tokens


def test_threads_and_affinity_are_the_range() -> None:
    command = engine().command(PLAN)
    options = options_of(engine())

    assert command.affinity == PLAN.cores
    assert options["cpuparams.n_threads"] == options["cpuparams_batch.n_threads"] == "2"
    assert command.env["OMP_NUM_THREADS"] == "2"


def test_engine_env_overrides_ours() -> None:
    command = engine(env={"OMP_NUM_THREADS": "1", "X": "y"}).command(PLAN)

    assert command.env["OMP_NUM_THREADS"] == "1"
    assert command.env["X"] == "y"


def test_command_runs_in_the_named_interpreter() -> None:
    command = engine(python=Path("/opt/llama/bin/python")).command(PLAN)

    assert command.argv[0] == "/opt/llama/bin/python"
    assert engine().command(PLAN).argv[0] == sys.executable


def test_args_override_our_defaults_but_not_the_plan() -> None:
    options = options_of(engine("--n-batch", "512", "--cache-ram-mib=100"))

    assert options["n_batch"] == options["n_ubatch"] == "512"
    assert options["cache_ram_mib"] == "100"
    assert options["n_parallel"] == "4"


@pytest.mark.parametrize(
    ("tp", "batch_size", "step"),
    [
        (1, 4, 16),
        (2, 4, 16),
        (3, 4, 24),
        (100, 4, 512),
        (2, 8, 32),
        (1, 32, 128),  # 32 decoding slots leave 96 tokens for prompts
    ],
)
def test_step_grows_with_cores_and_slots(tp: int, batch_size: int, step: int) -> None:
    cores = CoreRange.of(range(tp))
    options = options_of(engine(), dataclasses.replace(PLAN, cores=cores, batch_size=batch_size))

    assert options["n_batch"] == options["n_ubatch"] == str(step)


def test_embedding_takes_a_whole_input_in_one_step() -> None:
    assert options_of(engine("--embedding"))["n_ubatch"] == "2048"


def test_too_many_slots_are_infeasible() -> None:
    with pytest.raises(InfeasiblePlan, match="batch_size: 257 slots are too many"):
        engine().memory_bytes(SHAPE, tp=1, batch_size=257, max_model_len=256)


def test_folder_model_is_refused() -> None:
    shape = dataclasses.replace(SHAPE, file_format="safetensors")

    with pytest.raises(ConfigError, match=r"model.source: .* not a GGUF file"):
        engine().legal_tp(SimulatedHardware(3).detect(), shape)


def test_legal_tp_is_every_number_of_cores() -> None:
    assert engine().legal_tp(SimulatedHardware(3).detect(), SHAPE) == (1, 2, 3)


def test_memory_is_weights_and_kv_and_workspace() -> None:
    # KV: 2 x 30 layers x 3 heads x 64 x 2 bytes = 23,040 per token; x 4 slots x 2048 = 188,743,680
    # step of 16 tokens x 16 x 576 x 4 bytes = 589,824; logits 4 x 49,152 x 4 = 786,432; 64 MiB
    expected = 96_576_768 + 188_743_680 + 589_824 + 786_432 + 67_108_864

    found = engine().memory_bytes(SHAPE, tp=1, batch_size=4, max_model_len=2048)

    assert found == expected


@pytest.mark.parametrize(
    ("args", "kv_bytes_per_token"),
    [
        ((), 23_040),
        (("--cache-type-k=f32", "--cache-type-v=f32"), 46_080),
        (("--cache-type-k=q8_0", "--cache-type-v=GGML_TYPE_Q8_0"), 12_240),  # 34 / 32 per element
        (("--cache-type-k=q8_0",), 17_640),
    ],
)
def test_memory_follows_the_kv_type(args: tuple[str, ...], kv_bytes_per_token: int) -> None:
    def memory(max_model_len: int) -> int:
        return engine(*args).memory_bytes(SHAPE, tp=1, batch_size=1, max_model_len=max_model_len)

    assert memory(2048) - memory(1024) == 1024 * kv_bytes_per_token


def test_memory_counts_a_prompt_cache_that_was_asked_for() -> None:
    sizes = {"tp": 1, "batch_size": 1, "max_model_len": 256}
    with_cache = engine("--cache-ram-mib", "100").memory_bytes(SHAPE, **sizes)

    assert with_cache - engine().memory_bytes(SHAPE, **sizes) == 100 * 1024 * 1024


def test_kv_type_that_llamacpp_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match='--cache-type-k "q9" is no type of a KV cache'):
        engine("--cache-type-k=q9").memory_bytes(SHAPE, tp=1, batch_size=1, max_model_len=256)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--n-bach", "16"], "engine.args: --n-bach is not an option .* did you mean --n-batch"),
        (["--n-batch", "many"], "engine.args: --n-batch: 'many' is not an integer"),
        (["--warmup=maybe"], "engine.args: --warmup: 'maybe' is not true or false"),
        (["-c", "4096"], 'engine.args: "-c" is not an option'),
        (["--n-ctx", "4096"], "engine.args: --n-ctx is set by .* layout.max_model_len"),
        (["--port", "1"], "engine.args: --port is set by .* gateway.port"),
    ],
)
def test_wrong_args_are_refused_with_what_would_work(args: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        engine(*args).check()


def test_right_args_pass_the_check() -> None:
    engine("--n-batch", "512", "--no-warmup", "--sampling.temp=0.2", "--no-perf").check()


def test_check_without_xllamacpp_says_how_to_install_it() -> None:
    engine = LlamaCpp(EngineSpec(), find_package=lambda name: None)

    with pytest.raises(ConfigError, match="needs the package xllamacpp") as caught:
        engine.check()

    assert caught.value.hint == 'pip install "replicore[local]"'


def test_check_of_an_interpreter_without_xllamacpp_quotes_it(tmp_path: Path) -> None:
    script = "echo \"ModuleNotFoundError: No module named 'xllamacpp'\" >&2; exit 1"

    with pytest.raises(ConfigError, match=r"engine.python: .*No module named 'xllamacpp'"):
        engine(python=interpreter(tmp_path, script)).check()


def test_check_of_a_missing_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"engine.python: .*nowhere.* cannot run"):
        engine(python=tmp_path / "nowhere").check()
