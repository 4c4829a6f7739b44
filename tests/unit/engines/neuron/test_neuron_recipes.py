from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from replicore.engines.neuron.recipes import COMPILE_STAGES, FLAKY
from replicore.engines.recipe import Recipe
from replicore.errors import ConfigError
from tests.unit.engines.neuron.deployments import MODEL, engine, options_of, plan
from tests.unit.engines.neuron.fake_environment import FORK, NATIVE, environment

# In the order in which NxD Inference 0.3 and NxD 0.12 print them
LOG = [
    "Loading configs...",
    "INFO:Neuron:Generating HLOs for the following models: ['context_encoding_model']",
    "INFO:Neuron:Starting compilation for the priority HLO",
    "INFO:Neuron:Starting compilation for all HLOs",
    "INFO:Neuron:Finished Compilation for all HLOs in 301.7 seconds",
    "INFO:Neuron:Sharding weights for ranks: 0...31",
    "Compiling and tracing time: 612.0 seconds",
]


def recipe(**changes: Any) -> Recipe:
    of_plan = {name: changes.pop(name) for name in ("cores", "index", "model") if name in changes}
    neuron = engine(**changes)
    return neuron.recipe(plan(**of_plan), neuron.detect())


def test_replicas_of_one_deployment_have_equal_recipes() -> None:
    assert recipe().fields == recipe(cores="32-63", index=1).fields


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cores": "0-15"}, "layout.tp"),
        ({"instance": "trn2.48xlarge", "lnc": 1}, "engine.neuron.lnc"),
        ({"instance": "trn1.32xlarge", "lnc": 1, "cores": "0-31"}, "platform"),
        ({"dtype": "float16"}, "engine.neuron.dtype"),
        ({"kernels": ("qkv",)}, "engine.neuron.kernels"),
        ({"fused_qkv": False}, "engine.neuron.fused_qkv"),
        ({"sequence_parallel": True}, "engine.neuron.sequence_parallel"),
        ({"bucketing": True}, "engine.neuron.bucketing"),
        ({"context_buckets": (4096, 8192)}, "engine.neuron.context_buckets"),
        ({"max_context_length": 4096}, "engine.neuron.max_context_length"),
        ({"shard_weights": False}, "engine.neuron.shard_weights"),
        ({"compile_args": ("--vocab-parallel",)}, "engine.neuron.compile_args"),
        (
            {"on_device_sampling": {"global_topk": 256}},
            "engine.neuron.on_device_sampling.global_topk",
        ),
        ({"env": {"NEURON_CC_FLAGS": "-O1"}}, "engine.env.NEURON_CC_FLAGS"),
        ({"model": dataclasses.replace(MODEL, revision="other")}, "model.revision"),
    ],
)
def test_compiled_model_depends_on(changes: dict[str, Any], field: str) -> None:
    assert recipe(**changes).fields.get(field) != recipe().fields.get(field)


@pytest.mark.parametrize(
    "changes",
    [{"kernels": ("mlp", "qkv", "attn")}, {"env": {"HF_TOKEN": "x"}}, {"generation": "nxdi"}],
)
def test_compiled_model_does_not_depend_on(changes: dict[str, Any]) -> None:
    assert recipe(**changes).fields == recipe().fields


def test_versions_of_what_compiles_are_part_of_it_once_they_are_known(tmp_path: Path) -> None:
    neuron = engine(python=environment(tmp_path, FORK, platform_file=True))
    neuron.check()
    fields = neuron.recipe(plan(), neuron.detect()).fields

    assert fields["neuronx-distributed-inference"] == "0.3.5591"
    assert fields["neuronx-cc"] == "2.18"
    assert fields["python"] == "3.10"
    assert "vllm" not in fields  # it only loads what the others have compiled


def test_whole_compiled_model_has_a_file_of_weights_for_each_rank() -> None:
    outputs = recipe(cores="0-7").outputs

    assert outputs[:2] == ("neuron_config.json", "model.pt")
    assert outputs[2:] == tuple(f"weights/tp{n}_sharded_checkpoint.safetensors" for n in range(8))


def test_weights_that_are_sharded_at_each_start_are_no_outputs() -> None:
    assert recipe(shard_weights=False).outputs == ("neuron_config.json", "model.pt")


def test_command_compiles_into_the_folder_with_a_work_folder_of_its_own() -> None:
    made = recipe()
    assert made.command is not None
    command = made.command(Path("/store/1f"), Path("/store/work"))

    assert options_of(command.argv)["--compiled-model-path"] == ["/store/1f"]
    assert command.env["BASE_COMPILE_WORK_DIR"] == "/store/work"


def test_command_asks_the_installed_program_for_its_flags(tmp_path: Path) -> None:
    python = environment(tmp_path, FORK, platform_file=True, demo="0.1")
    neuron = engine(python=python)
    neuron.check()
    command = neuron.compile_command(plan(), artefact=Path("/a"), work=Path("/w"))

    assert command.argv[0] == str(tmp_path / "inference_demo")
    assert options_of(command.argv)["--logical-neuron-cores"] == ["2"]


def test_environment_that_cannot_compile_says_so(tmp_path: Path) -> None:
    neuron = engine(python=environment(tmp_path, FORK, platform_file=True))
    neuron.check()

    with pytest.raises(ConfigError, match=r'there is no ".*/inference_demo" beside it'):
        neuron.compile_command(plan(), artefact=Path("/a"), work=Path("/w"))


def test_native_keeps_a_cache_that_a_replica_fills_by_starting(tmp_path: Path) -> None:
    neuron = engine(python=environment(tmp_path, NATIVE))
    neuron.check()
    made = neuron.recipe(plan(), neuron.detect())

    assert made.command is None
    assert not made.required
    assert made.outputs == ("neuron/compile_cache/*",)
    assert made.fields["vllm-neuron"] == "0.24.0.1.1.0"


def test_stages_come_in_the_order_of_the_log() -> None:
    found = [
        next(stage.label for stage in COMPILE_STAGES if re.search(stage.pattern, line))
        for line in LOG
    ]

    assert found == [stage.label for stage in COMPILE_STAGES]


def test_ranks_that_gave_up_waiting_for_each_other_are_tried_again() -> None:
    line = "neuronx-cc failed with 70: RuntimeError in tp_barrier"

    assert any(re.search(pattern, line) for pattern in FLAKY)


def test_time_limit_is_the_specs() -> None:
    assert recipe(compile_timeout="90m").timeout_s == 5400
