from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from replicore.engines.command import Command
from replicore.engines.neuron.demo_flags import UNASKED, DemoFlags, flags_in
from replicore.engines.neuron.inference_demo import CompileJob
from replicore.errors import ConfigError, InfeasiblePlan
from replicore.spec import NeuronSpec
from tests.unit.engines.neuron.deployments import MODEL, SHAPE, options_of, plan
from tests.unit.engines.neuron.fake_environment import demo_help


def compile_with(
    version: str | None = None, *, batch_size: int = 4, architecture: str = "llama", **neuron: Any
) -> Command:
    shape = dataclasses.replace(SHAPE, architecture=architecture)
    replica = plan(batch_size=batch_size, model=dataclasses.replace(MODEL, shape=shape))
    spec = NeuronSpec.model_validate(neuron)
    flags = UNASKED if version is None else DemoFlags(flags_in(demo_help(version)))
    job = CompileJob(program=Path("/bin/demo"), replica=replica, spec=spec, lnc=2)
    return job.command(Path("/a"), Path("/w"), flags)


def options(version: str | None = None, **neuron: Any) -> dict[str, Any]:
    return options_of(compile_with(version, **neuron).argv)


@pytest.mark.parametrize(
    ("version", "flag"),
    [
        ("0.1", "--logical-neuron-cores"),
        ("0.3", "--logical-nc-config"),
        ("0.9", "--logical-nc-config"),
        (None, "--logical-nc-config"),
    ],
)
def test_lnc_has_the_name_that_the_version_gives_it(version: str | None, flag: str) -> None:
    both = {"--logical-neuron-cores", "--logical-nc-config"} & set(options(version))

    assert both == {flag}
    assert options(version)[flag] == ["2"]


@pytest.mark.parametrize(
    ("version", "shard_weights", "flag"),
    [
        ("0.1", True, None),  # weights were written sharded by default
        ("0.1", False, "--skip-save-sharded-checkpoint"),
        ("0.3", True, "--save-sharded-checkpoint"),
        ("0.3", False, None),
        ("0.9", True, "--save-sharded-checkpoint"),
        (None, True, "--save-sharded-checkpoint"),
        (None, False, None),
    ],
)
def test_weights_are_sharded_ahead_whatever_the_versions_default(
    version: str | None, shard_weights: bool, flag: str | None
) -> None:
    found = [name for name in options(version, shard_weights=shard_weights) if "shard" in name]

    assert found == ([flag] if flag else [])


@pytest.mark.parametrize("version", ["0.1", "0.3", "0.9"])
def test_every_flag_is_one_of_the_installed_version(version: str) -> None:
    spec: dict[str, Any] = {
        "kernels": ("qkv", "attn", "mlp"),
        "sequence_parallel": True,
        "context_buckets": (4096, 8192),
        "token_buckets": (8192,),
        "pad_token_id": 2,
    }
    words = compile_with(version, **spec).argv
    used = {word for word in words[words.index("run") :] if word.startswith("--")}

    assert used <= flags_in(demo_help(version))


def test_one_slot_needs_no_continuous_batching() -> None:
    words = compile_with(batch_size=1).argv

    assert not {"--is-continuous-batching", "--ctx-batch-size"} & set(words)


def test_sampling_on_the_device_is_what_the_spec_says() -> None:
    greedy = options(on_device_sampling={"do_sample": False, "dynamic": False})
    dynamic = options(on_device_sampling={"global_topk": 32})

    assert not {"--do-sample", "--dynamic"} & set(greedy)
    assert {"--do-sample", "--dynamic"} <= set(dynamic)
    assert dynamic["--global-topk"] == ["32"]


def test_buckets_that_are_given_are_used() -> None:
    found = options(context_buckets=(8192, 2048))

    assert found["--enable-bucketing"] == []
    assert found["--context-encoding-buckets"] == ["2048", "8192"]
    assert "--token-generation-buckets" not in found


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"max_context_length": 12800}, r"max_context_length: 12800 is more than layout.max_mod"),
        ({"context_buckets": (16384,)}, r"context_buckets: 16384 is more than the longest prompt"),
        ({"token_buckets": (16384,)}, r"token_buckets: 16384 .* use 8192 or less"),
    ],
)
def test_prompt_that_is_longer_than_a_sequence_is_refused(
    lengths: dict[str, Any], message: str
) -> None:
    with pytest.raises(InfeasiblePlan, match=message):
        compile_with(**lengths)


def test_arguments_of_the_user_are_passed_through_before_the_end() -> None:
    words = compile_with("0.3", compile_args=("--cc-pipeline-tiling-factor", "1")).argv

    assert words[-5:-2] == ("--cc-pipeline-tiling-factor", "1", "--compile-only")


def test_argument_that_the_version_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"has no --cp-degree; did you mean --[tpe]p-degree"):
        compile_with("0.3", compile_args=("--cp-degree", "2"))


def test_argument_that_replicore_sets_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--seq-len is set by replicore from layout.max_model"):
        compile_with(compile_args=("--seq-len=4096",))


def test_kernel_that_the_version_does_not_have_is_refused() -> None:
    known = DemoFlags(flags_in(demo_help("0.3")) - {"--mlp-kernel-enabled"})
    spec = NeuronSpec(kernels=("mlp",))
    job = CompileJob(program=Path("/bin/demo"), replica=plan(), spec=spec, lnc=2)

    with pytest.raises(ConfigError, match=r"engine.neuron.kernels: .* has no --mlp-kernel-enabled"):
        job.command(Path("/a"), Path("/w"), known)


@pytest.mark.parametrize(
    ("architecture", "model_type", "found"),
    [
        ("llama", None, "llama"),
        ("qwen3_moe", None, "qwen3_moe"),
        ("gemma3_text", None, "gemma3"),
        ("phi3", "llama", "llama"),
    ],
)
def test_model_type_is_the_models_or_the_specs(
    architecture: str, model_type: str | None, found: str
) -> None:
    words = compile_with(architecture=architecture, model_type=model_type).argv

    assert options_of(words)["--model-type"] == [found]


def test_model_that_cannot_be_compiled_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'no name for models of type "phi3" \(it has: "llama"'):
        compile_with(architecture="phi3")
