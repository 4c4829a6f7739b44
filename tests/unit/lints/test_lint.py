"""The ten defects of the Neuron tutorial, and more, as findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replicore.lints.lint import lint_spec
from replicore.spec import load_spec
from tests.unit.lints.plans import FakeLayout, findings, only, problems, spec_of

EXAMPLES = Path(__file__).parents[3] / "examples"
REMOTE = {
    "engine.kind": "remote",
    "layout.max_model_len": "auto",
    "workload.input_tokens": {"mean": 128},
    "workload.output_tokens": {"mean": 128},
}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_have_no_problem_by_themselves(path: Path) -> None:
    assert problems(list(lint_spec(load_spec(path, environ={})))) == []


def test_the_default_spec_has_no_problem() -> None:
    found = findings(
        {"engine.kind": "llamacpp", "workload.input_tokens": {"mean": 128}},
        kind="cpu",
        layout=FakeLayout(tp=1, max_model_len=4096),
        weight_bytes=100_000_000,
    )

    assert problems(found) == []


def test_every_problem_says_what_to_change() -> None:
    found = findings(
        {
            "engine.neuron.shard_weights": False,
            "engine.neuron.on_device_sampling.do_sample": False,
            "engine.neuron.compile_args": ["--seq-len", "8192", "--top-k=1"],
            "engine.env": {"WORLD_SIZE": "2", "NEURON_RT_NUM_CORES": "64"},
            "workload.concurrency": 2,
        },
        layout=FakeLayout(max_model_len=8192),
    )

    assert len(problems(found)) == 8
    assert all(finding.fix and finding.key for finding in found if finding.level != "ok")
    assert not any(finding.message.endswith(".") for finding in found)


def test_errors_come_first() -> None:
    found = findings({"engine.env": {"RANK": "0"}, "workload.concurrency": 2})

    assert [finding.level for finding in found][:2] == ["error", "warning"]
    assert found[-1].level == "ok"


def test_sharding_at_every_start_is_a_warning_with_its_size() -> None:
    finding = only(findings({"engine.neuron.shard_weights": False}), "shard-weights")

    assert finding.level == "warning"
    assert "each of the 2 replicas reads and shards 131 GiB" in finding.message


def test_a_plugin_that_never_shards_ahead_is_not_asked_to() -> None:
    keys = {"engine.neuron.shard_weights": False, "engine.neuron.generation": "native"}

    assert "shard-weights" not in problems(findings(keys))


@pytest.mark.parametrize(
    ("keys", "fix"),
    [
        ({"supervisor.start_timeout": "1m"}, 'supervisor.start_timeout = "5m"'),
        ({"engine.neuron.generation": "native"}, 'supervisor.start_timeout = "30m"'),
    ],
)
def test_a_start_timeout_shorter_than_a_load_is_a_warning(keys: dict[str, Any], fix: str) -> None:
    # 141 GB at 0.6 GB/s are 235 s, and a minute to settle
    assert only(findings(keys), "start-timeout").fix == fix


def test_a_warm_start_of_the_native_plugin_needs_no_longer_timeout() -> None:
    found = findings({"engine.neuron.generation": "native"}, compiled={"layout.tp": 32})

    assert "start-timeout" not in problems(found)


def test_heads_that_do_not_divide_are_kept_once_per_attention_head() -> None:
    # 64 heads on 12 cores: 6 each, 72 instead of 8
    finding = only(findings(layout=FakeLayout(replicas=1, tp=12)), "heads")

    assert finding.level == "warning"
    assert finding.message.endswith("the KV cache takes 9 times its size")
    assert finding.fix == "layout.tp: a divisor or a multiple of 8"


@pytest.mark.parametrize(("tp", "expected"), [(32, "kept on 4 cores"), (4, "is kept once")])
def test_copies_of_key_value_heads_are_told(tp: int, expected: str) -> None:
    message = only(findings(layout=FakeLayout(replicas=1, tp=tp)), "heads").message

    assert message.endswith(expected)


@pytest.mark.parametrize(
    "name",
    [
        "NEURON_RT_VISIBLE_CORES",
        "NEURON_RT_NUM_CORES",
        "CUDA_VISIBLE_DEVICES",
        "WORLD_SIZE",
        "MASTER_PORT",
        "VLLM_PORT",
        "BASE_COMPILE_WORK_DIR",
        "NEURON_COMPILED_ARTIFACTS",
        "PROMETHEUS_MULTIPROC_DIR",
    ],
)
def test_a_variable_that_all_replicas_would_share_is_an_error(name: str) -> None:
    finding = only(findings({"engine.env": {name: "7"}}), "variables")

    assert (finding.level, finding.key) == ("error", f"engine.env.{name}")


def test_a_second_lnc_is_an_error() -> None:
    keys = {"engine.neuron.lnc": 2, "engine.env": {"NEURON_RT_VIRTUAL_CORE_SIZE": "1"}}
    finding = only(findings(keys), "variables")

    assert finding.fix.endswith("engine.neuron.lnc = 1")


@pytest.mark.parametrize(
    "keys",
    [
        {"engine.env": {"NEURON_LOGICAL_NC_CONFIG": "2"}},
        {"engine.env": {"NCCL_DEBUG": "INFO", "OMP_NUM_THREADS": "4"}},
        {"engine.env": {"CUDA_VISIBLE_DEVICES": ""}},
        {"engine.env": {"VLLM_PORT": "7000"}, "layout.replicas": 1},
        {"engine.env": {"WORLD_SIZE": "2"}, "engine.kind": "llamacpp"},
    ],
)
def test_other_variables_are_no_problem(keys: dict[str, Any]) -> None:
    assert "variables" not in problems(findings({"engine.neuron.lnc": 2, **keys}))


@pytest.mark.parametrize("args", [["--data-parallel-size", "2"], ["-dp", "2"]])
def test_vllms_own_data_parallelism_is_an_error(args: list[str]) -> None:
    finding = only(findings({"engine.args": args}), "data-parallel")

    assert finding.fix == "take it out and set layout.replicas"


def test_another_tokenizer_than_the_models_is_a_warning() -> None:
    args = ["--tokenizer", "hf-internal-testing/llama-tokenizer"]

    assert only(findings({"engine.args": args}), "tokenizer").level == "warning"


def test_the_models_own_tokenizer_is_no_problem() -> None:
    keys = {"model.source": "org/llama", "engine.args": ["--tokenizer", "org/llama"]}

    assert problems(findings(keys)) == []


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        (["http://0.0.0.0:8001"], "an address to listen on"),
        (["http://[::]:8001"], "an address to listen on"),
        (["http://127.0.0.1:8000"], "the gateway itself"),
        (["http://127.0.0.1:8001"] * 2, "is given 2 times"),
    ],
)
def test_an_endpoint_that_is_no_server_of_its_own_is_an_error(
    endpoints: list[str], expected: str
) -> None:
    found = lint_spec(spec_of({**REMOTE, "engine.remote.endpoints": endpoints}))

    assert expected in only(list(found), "endpoints").message


def test_a_replica_that_cannot_be_given_up_is_a_warning() -> None:
    # Waits of 60, 60, 60 and 60 s, each at least half as long: 120 s
    keys = {"supervisor.backoff_initial": "60s", "supervisor.failure_window": "90s"}
    finding = only(list(lint_spec(spec_of(keys))), "giving-up")

    assert "90s is less than the 2m that the waits before 5 failures take" in finding.message
