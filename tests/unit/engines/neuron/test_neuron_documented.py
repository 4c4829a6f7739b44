"""Our command lines against those that AWS documents, option by option.

Of ours, what no document has is named; so is what we leave out of a document's, and why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replicore.engines.command import Command
from tests.unit.engines.neuron.deployments import (
    COMPILED_PATH,
    MODEL_PATH,
    engine,
    options_of,
    plan,
    served_with,
)

# Every engine of ours listens on loopback, and calls the model what its users call it.
OURS = {"--host": ["127.0.0.1"], "--served-model-name": ["llama-3.3-70b"]}

# The tutorial's compile_model.sh
COMPILE_MODEL: dict[str, list[str]] = {
    "--model-path": [str(MODEL_PATH)],
    "--compiled-model-path": [str(COMPILED_PATH)],
    "--torch-dtype": ["bfloat16"],
    "--start_rank_id": ["0"],
    "--local_ranks_size": ["32"],
    "--tp-degree": ["32"],
    "--batch-size": ["4"],
    "--max-context-length": ["8192"],
    "--seq-len": ["8192"],
    "--on-device-sampling": [],
    "--top-k": ["1"],
    "--do-sample": [],
    "--fused-qkv": [],
    "--qkv-kernel-enabled": [],
    "--attn-kernel-enabled": [],
    "--mlp-kernel-enabled": [],
    "--pad-token-id": ["2"],
    "--compile-only": [],
    "--prompt": ["What is annapurna labs?"],
}

# What it lacks: the sampling that is served, sharded weights, one LNC, and slots of their own
MENDED: dict[str, list[str]] = {
    "--global-topk": ["64"],
    "--save-sharded-checkpoint": [],
    "--logical-nc-config": ["2"],
    "--is-continuous-batching": [],
    "--ctx-batch-size": ["1"],
}


def compile_command(**neuron: Any) -> Command:
    return engine(**neuron).compile_command(plan(), artefact=COMPILED_PATH, work=Path("/work"))


def split_at_run(command: Command) -> tuple[list[str], dict[str, Any]]:
    words = list(command.argv)
    where = words.index("run")
    return words[1:where], options_of(words[where + 1 :])


def test_compiling_has_every_flag_of_the_tutorial_and_mends_its_defects() -> None:
    before_run, after_run = split_at_run(compile_command())

    assert before_run == ["--model-type", "llama", "--task-type", "causal-lm"]
    assert after_run == COMPILE_MODEL | MENDED


def test_compiling_has_the_variables_of_the_tutorial_with_cores_for_one_replica() -> None:
    env = compile_command().env

    assert env == {
        "NEURON_RT_VIRTUAL_CORE_SIZE": "2",
        "NEURON_LOGICAL_NC_CONFIG": "2",
        "NEURON_RT_NUM_CORES": "32",  # the tutorial has 64, all of the machine
        "NEURON_RT_EXEC_TIMEOUT": "600",
        "XLA_DENSE_GATHER_FACTOR": "0",
        "NEURON_RT_INSPECT_ENABLE": "0",
        "BASE_COMPILE_WORK_DIR": "/work",
    }


def test_compiling_as_in_the_newer_tutorial_adds_its_flags() -> None:
    buckets = (2048, 4096, 8192)
    _, options = split_at_run(
        compile_command(
            sequence_parallel=True,
            bucketing=True,
            context_buckets=buckets,
            token_buckets=buckets,
            compile_args=("--cc-pipeline-tiling-factor", "1"),
        )
    )

    assert options == COMPILE_MODEL | MENDED | {
        "--sequence-parallel-enabled": [],
        "--cc-pipeline-tiling-factor": ["1"],
        "--enable-bucketing": [],
        "--context-encoding-buckets": ["2048", "4096", "8192"],
        "--token-generation-buckets": ["2048", "4096", "8192"],
    }


@pytest.mark.parametrize(("index", "cores", "port"), [(0, "0-31", 8000), (1, "32-63", 8001)])
def test_fork_is_served_as_the_tutorial_does(index: int, cores: str, port: int) -> None:
    replica = plan(cores, index=index, port=port, artefact=COMPILED_PATH)
    command = engine(generation="fork").command(replica)

    assert command.argv[:3] == ("/venv/bin/python", "-m", "vllm.entrypoints.openai.api_server")
    # Without --use-v2-block-manager, which has no effect; its 12800 is more than it has compiled
    assert served_with(command) == OURS | {
        "--model": [str(MODEL_PATH)],
        "--max-num-seqs": ["4"],
        "--max-model-len": ["8192"],
        "--tensor-parallel-size": ["32"],
        "--device": ["neuron"],
        "--override-neuron-config": [
            {"on_device_sampling_config": {"do_sample": True, "global_topk": 64}}
        ],
        "--port": [str(port)],
        "--disable-log-requests": [],
    }


def test_fork_has_the_variables_of_the_tutorial() -> None:
    env = engine(generation="fork").command(plan("32-63", artefact=COMPILED_PATH)).env
    documented = {
        "NEURON_RT_INSPECT_ENABLE": "0",
        "NEURON_RT_VIRTUAL_CORE_SIZE": "2",
        "VLLM_NEURON_FRAMEWORK": "neuronx-distributed-inference",
        "NEURON_COMPILED_ARTIFACTS": str(COMPILED_PATH),
        "NEURON_RT_VISIBLE_CORES": "32-63",
        "VLLM_RPC_TIMEOUT": "100000",
    }

    assert env.items() >= documented.items()


def test_fork_is_served_as_the_migration_guide_does() -> None:
    spec = engine(
        generation="fork",
        on_device_sampling={"dynamic": True},
        config={"on_device_sampling_config": {"dynamic": True}},
    )
    options = served_with(spec.command(plan(batch_size=8, max_model_len=4096)))

    assert options["--override-neuron-config"] == [{"on_device_sampling_config": {"dynamic": True}}]
    assert options["--max-num-seqs"] == ["8"]
    assert options["--max-model-len"] == ["4096"]


def test_nxdi_is_served_as_the_newer_tutorial_does() -> None:
    command = engine(generation="nxdi").command(plan(artefact=COMPILED_PATH))
    sampling = {"on_device_sampling_config": {"do_sample": True, "global_topk": 64}}

    assert served_with(command) == OURS | {
        "--model": [str(MODEL_PATH)],
        "--max-num-seqs": ["4"],
        "--max-model-len": ["8192"],
        "--no-enable-prefix-caching": [],
        "--tensor-parallel-size": ["32"],
        "--additional-config": [{"override_neuron_config": sampling}],
        "--port": ["8000"],
        "--disable-uvicorn-access-log": [],
    }
    assert command.env["NEURON_COMPILED_ARTIFACTS"] == str(COMPILED_PATH)
    assert command.env["NEURON_RT_VISIBLE_CORES"] == "0-31"


def test_nxdi_takes_the_blocks_of_the_user_guide() -> None:
    blocks = ("--block-size", "32", "--num-gpu-blocks-override", "16")
    replica = plan("0-1", max_model_len=128)
    options = served_with(engine(*blocks, generation="nxdi").command(replica))

    documented: dict[str, Any] = {
        "--tensor-parallel-size": ["2"],
        "--max-model-len": ["128"],
        "--max-num-seqs": ["4"],
        "--block-size": ["32"],
        "--num-gpu-blocks-override": ["16"],
        "--port": ["8000"],
    }
    assert options.items() >= documented.items()


def test_native_is_served_as_the_migration_guide_does() -> None:
    args = ("--max-num-batched-tokens", "2048", "--hf-overrides", '{"quantization_config": {}}')
    native = engine(*args, generation="native", compile_timeout="20m")
    command = native.command(plan("0-7", max_model_len=4096))

    assert served_with(command) == OURS | {
        "--model": [str(MODEL_PATH)],
        "--tensor-parallel-size": ["8"],
        "--max-model-len": ["4096"],
        "--max-num-batched-tokens": ["2048"],
        "--max-num-seqs": ["4"],
        "--hf-overrides": [{"quantization_config": {}}],
        "--additional-config": [{"neuron_config": {"on_device_sampling_config": {}}}],
        "--port": ["8000"],
        "--disable-uvicorn-access-log": [],
        "--shutdown-timeout": ["5"],
    }
    assert command.env["VLLM_NEURON_COMPILATION_TIMEOUT"] == "1200"
    assert command.env["VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS"] == "1200"


@pytest.mark.parametrize("server", range(16))
def test_native_has_the_slices_of_the_tutorial_with_16_servers(server: int) -> None:
    first = 4 * server
    replica = plan(f"{first}-{first + 3}", index=server, port=8100 + server)
    command = engine(generation="native").command(replica)

    assert command.env["NEURON_VISIBLE_DEVICES"] == f"{first}-{first + 3}"
    assert served_with(command)["--port"] == [str(8100 + server)]
