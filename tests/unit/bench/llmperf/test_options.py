"""LLMPerf's flags, unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.bench.llmperf.options import Mode, Options, parse_benchmark, parse_correctness
from replicore.errors import ConfigError
from tests.unit.bench.llmperf.made import run_options

TUTORIAL = [
    *("--model", "/models/Llama-3.3-70B-Instruct/"),
    *("--mean-input-tokens", "7936"),
    *("--stddev-input-tokens", "30"),
    *("--mean-output-tokens", "256"),
    *("--stddev-output-tokens", "30"),
    *("--num-concurrent-requests", "8"),
    *("--results-dir", "/results/"),
    *("--timeout", "21600"),
    *("--max-num-completed-requests", "1000"),
    *("--additional-sampling-params", '{"temperature": 0.7, "top_k": 50}'),
    *("--llm-api", "openai"),
]


def test_flags_of_the_tutorial_are_read_as_they_stand() -> None:
    run = run_options(
        model="/models/Llama-3.3-70B-Instruct/",
        concurrency=8,
        timeout_s=21600.0,
        requests=1000,
        sampling={"temperature": 0.7, "top_k": 50},
        results_dir=Path("/results"),
    )

    assert parse_benchmark(TUTORIAL) == Options(
        run=run,
        mean_input_tokens=7936,
        stddev_input_tokens=30,
        mean_output_tokens=256,
        stddev_output_tokens=30,
    )


def test_defaults_of_the_benchmark_are_those_of_llmperf() -> None:
    found = parse_benchmark(["--model", "m"])

    assert (found.mean_input_tokens, found.stddev_input_tokens) == (550, 150)
    assert (found.mean_output_tokens, found.stddev_output_tokens) == (150, 80)
    run = found.run
    assert (run.concurrency, run.timeout_s, run.requests) == (10, 90.0, 10)
    assert (run.sampling, run.results_dir, run.api, run.metadata) == ({}, None, "openai", {})
    assert found.mode is Mode.CORRECTED


def test_defaults_of_the_correctness_check_are_those_of_llmperf() -> None:
    found = parse_correctness(["--model", "m"])

    assert (found.concurrency, found.timeout_s, found.requests) == (10, 90.0, 50)


def test_flags_may_be_shortened_as_argparse_allows() -> None:
    assert parse_benchmark(["--model=m", "--mean-in", "7"]).mean_input_tokens == 7


def test_metadata_is_split_at_commas_and_its_values_stay_text() -> None:
    found = parse_benchmark(["--model", "m", "--metadata", "name=foo,bar=1"])

    assert found.run.metadata == {"name": "foo", "bar": "1"}


@pytest.mark.parametrize("mode", ["corrected", "v2.0", "main", "neuron"])
def test_mode_is_one_of_four(mode: str) -> None:
    assert parse_benchmark(["--model", "m", "--llmperf-mode", mode]).mode.value == mode


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mean-input-tokens", "0"], "--mean-input-tokens: 0 is below 1"),
        (["--stddev-output-tokens", "-1"], "--stddev-output-tokens: -1 is below 0"),
        (["--num-concurrent-requests", "0"], "--num-concurrent-requests: 0 is below 1"),
        (["--timeout", "0"], "--timeout: 0 is below 1"),
        (["--request-timeout", "0"], "--request-timeout: 0 s is not above 0"),
        (["--drain-timeout", "-1"], "--drain-timeout: -1 s is below 0"),
        (["--warmup", "-1"], "--warmup: -1 is below 0"),
        (["--processes", "0"], "--processes: 0 is below 1"),
        (
            ["--llmperf-mode=main", "--warmup=3"],
            "--warmup is for the corrected mode, not for main",
        ),
        (["--metadata", "a=b=c"], '--metadata: "a=b=c" is not of the form key=value'),
        (["--llm-api", "litellm"], '--llm-api: "litellm" is not implemented; "openai" is'),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_value_is_refused_with_its_rule(flags: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_benchmark(["--model", "m", *flags])

    assert caught.value.message == message


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
def test_sampling_parameters_that_are_no_json_object_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not (JSON|a JSON object)"):
        parse_benchmark(["--model", "m", "--additional-sampling-params", text])


def test_model_is_required() -> None:
    with pytest.raises(ConfigError, match="--model"):
        parse_benchmark([])
