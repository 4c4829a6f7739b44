"""What is compiled against what is served and asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.engines.neuron.engine import Neuron
from replicore.models.shape import Model
from replicore.spec import load_spec
from tests.unit.lints.plans import LLAMA_70B, FakeLayout, findings, only, problems

EXAMPLES = Path(__file__).parents[3] / "examples"
REMOTE = {
    "engine.kind": "remote",
    "layout.max_model_len": "auto",
    "workload.input_tokens": {"mean": 128},
    "workload.output_tokens": {"mean": 128},
}


def test_a_compiled_length_below_the_served_one_is_an_error() -> None:
    found = findings(
        compiled={"layout.max_model_len": 8192}, layout=FakeLayout(max_model_len=12800)
    )
    finding = only(found, "compiled-length")

    assert finding.level == "error"
    assert "12800 is served, but the artefact was compiled for 8192" in finding.message
    assert finding.fix.endswith("set layout.max_model_len = 8192")


def test_another_compiled_batch_is_an_error() -> None:
    found = findings(compiled={"layout.batch_size": 1, "layout.max_model_len": 8704})

    assert only(found, "compiled").key == "layout.batch_size"
    assert only(found, "compiled-length").level == "ok"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--seq-len", "8192"], "--seq-len sets what layout.max_model_len sets"),
        (["--local_ranks_size=32"], "--local-ranks-size sets what layout.tp"),
        (["--logical-neuron-cores=1"], "sets what engine.neuron.lnc sets"),
        (["--top-k", "1"], "sets what engine.neuron.on_device_sampling.global_topk sets"),
        (["--context-encoding-buckets", "128"], "what engine.neuron.context_buckets sets"),
    ],
)
def test_compile_arguments_that_the_spec_has_keys_for_are_errors(
    args: list[str], expected: str
) -> None:
    finding = only(findings({"engine.neuron.compile_args": args}), "compile-args")

    assert finding.level == "error"
    assert expected in finding.message


def test_compile_arguments_of_their_own_are_no_problem() -> None:
    args = ["--cc-pipeline-tiling-factor", "1", "--seq"]

    assert problems(findings({"engine.neuron.compile_args": args})) == []


def test_greedy_decoding_compiled_in_is_a_warning() -> None:
    finding = only(findings({"engine.neuron.on_device_sampling.do_sample": False}), "sampling")

    assert "temperature, top_p and top_k of requests have no effect" in finding.message


def test_sampling_that_no_request_can_change_is_a_warning() -> None:
    finding = only(findings({"engine.neuron.on_device_sampling.dynamic": False}), "sampling")

    assert finding.fix == "engine.neuron.on_device_sampling.dynamic = true"


def test_a_second_sampling_configuration_is_an_error() -> None:
    config = {"on_device_sampling_config": {"global_topk": 1}}
    finding = only(findings({"engine.neuron.config": config}), "sampling")

    assert finding.level == "error"
    assert "the model is compiled by one and served by the other" in finding.message


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"engine.neuron.max_context_length": 7936},
            "max_context_length: 49 % of the prompts of [workload] are longer than 7936 tokens",
        ),
        (
            {"engine.neuron.context_buckets": [2048, 4096]},
            "context_buckets: 100 % of the prompts of [workload] are longer than 4096 tokens",
        ),
        (
            {"engine.neuron.token_buckets": [4096, 8320]},
            "token_buckets: 1 in 810 of the requests, prompt plus output, of [workload] is longer",
        ),
    ],
)
def test_requests_above_all_buckets_are_a_warning(keys: dict[str, Any], expected: str) -> None:
    assert expected in only(findings(keys), "buckets").message


@pytest.mark.parametrize(
    "keys",
    [
        {"engine.neuron.max_context_length": 8192},
        {"engine.neuron.context_buckets": [4096, 8704], "engine.neuron.token_buckets": [8704]},
        {"engine.neuron.context_buckets": [128], "engine.neuron.generation": "native"},
    ],
)
def test_buckets_that_hold_the_workload_are_no_problem(keys: dict[str, Any]) -> None:
    assert "buckets" not in problems(findings(keys))


def test_every_flag_of_the_compile_command_has_its_key() -> None:
    spec = load_spec(EXAMPLES / "llama70b-trn2.toml", environ={})
    neuron = Neuron(spec.engine)
    plan = ReplicaPlan(
        index=0,
        cores=CoreRange.of(range(32)),
        batch_size=4,
        max_model_len=8704,
        model=Model(source="m", served_name="m", path=Path("/m"), shape=LLAMA_70B),
        host="127.0.0.1",
        port=8000,
    )
    argv = neuron.compile_command(plan, artefact=Path("/a"), work=Path("/w")).argv
    planned = argv[argv.index("run") + 1 : argv.index("--compile-only")]
    found = findings({"engine.neuron.compile_args": list(planned)})

    flags = {word for word in planned if word.startswith("--")}
    assert problems(found).count("compile-args") == len(flags)
