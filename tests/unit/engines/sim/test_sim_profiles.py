"""The numbers of the profiles against their sources: data sheets, and measured rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, quantiles
from typing import get_args

import pytest

from replicore.engines.sim.profiles import (
    PROFILES,
    kv_capacity,
    kv_token_bytes,
    replica_bytes,
    step_time,
)
from replicore.engines.sim.shapes import SHAPES
from replicore.hardware.neuron.catalogue import find_instance
from replicore.models.known import find_known
from replicore.spec import SimSpec

DATA = Path(__file__).parents[5] / "shared" / "data"
ROWS = DATA / "neuron_perf.csv"
H100_ROWS = DATA / "planner_rows.csv"
LLAMA_70B = SHAPES["llama-70b"]
LLAMA_8B = SHAPES["llama-8b"]
TUTORIAL = {"batch_size": 4, "max_model_len": 8192}


@pytest.mark.parametrize(
    ("tp", "step_ms", "tokens_per_s"), [(64, 20.7, 193), (32, 24.8, 322), (16, 33.1, 483)]
)
def test_tutorial_s_layouts_decode_as_fast_as_the_fitted_model_says(
    tp: int, step_ms: float, tokens_per_s: float
) -> None:
    seconds = step_time(PROFILES["trn2"], LLAMA_70B, tp=tp, **TUTORIAL).decode(4, 0)

    assert seconds * 1000 == pytest.approx(step_ms, abs=0.1)
    assert 64 // tp * 4 / seconds == pytest.approx(tokens_per_s, abs=1)


def test_decode_step_of_a_static_batch_is_that_of_what_was_compiled() -> None:
    small, large = (
        step_time(PROFILES["trn2"], LLAMA_8B, tp=8, batch_size=n, max_model_len=4096)
        for n in (1, 32)
    )

    assert small.decode(1, 10) == small.decode(1, 4000)
    # 31 more sequences: 2.30 * 31 * 4096 tokens * 131,072 bytes over 8 * 725 GB/s
    assert large.decode(1, 10) - small.decode(1, 10) == pytest.approx(0.0066, abs=1e-4)


def test_decode_step_of_continuous_batching_is_that_of_what_is_in_it() -> None:
    steps = step_time(PROFILES["h100"], LLAMA_8B, tp=1, batch_size=256, max_model_len=8192)

    assert steps.decode(1, 100) < steps.decode(1, 8000) < steps.decode(8, 64_000)


def test_published_ttft_of_70b_on_trn2_is_met_within_a_fifth() -> None:
    steps = step_time(PROFILES["trn2"], LLAMA_70B, tp=64, batch_size=1, max_model_len=12_800)

    # AWS's 70B tutorial, 10,000 tokens in: 0.81 s for those that did not wait.
    assert steps.prefill(10_000) == pytest.approx(0.81, rel=0.2)


def test_kv_cache_grows_with_tp_beyond_the_kv_heads() -> None:
    assert kv_token_bytes(LLAMA_70B, tp=4) == kv_token_bytes(LLAMA_70B, tp=8) == 327_680
    assert kv_token_bytes(LLAMA_70B, tp=16) == 2 * 327_680


def test_kv_capacity_is_what_weights_and_workspace_leave() -> None:
    h100 = PROFILES["h100"]
    # (72 - 4.25 GiB) - 16.06 GB of weights, at 131,072 bytes a token
    assert kv_capacity(h100, LLAMA_8B, tp=1) == 432_475
    assert kv_capacity(h100, LLAMA_70B, tp=1) == 0
    assert kv_capacity(PROFILES["trn2"], LLAMA_8B, tp=8) is None


def test_70b_needs_eight_cores_of_a_trn2() -> None:
    trn2 = PROFILES["trn2"]
    assert trn2.memory_bytes is not None
    per_core = {tp: replica_bytes(trn2, LLAMA_70B, tp=tp, **TUTORIAL) / tp for tp in (4, 8)}

    assert per_core[8] < trn2.memory_bytes < per_core[4]


@pytest.mark.parametrize(
    ("name", "instance"), [("trn2", "trn2.48xlarge"), ("inf2", "inf2.48xlarge")]
)
def test_neuron_profiles_have_the_data_sheet_s_numbers(name: str, instance: str) -> None:
    profile, found = PROFILES[name], find_instance(instance)
    lnc = found.chip.lnc[0]

    assert profile.cores == found.cores(lnc)
    assert profile.memory_bytes == found.chip.core_hbm_bytes(lnc)
    assert profile.bytes_per_s == found.chip.core_hbm_bytes_per_s(lnc)
    assert profile.flops_per_s == found.chip.core_bf16_flops(lnc)
    assert profile.legal_tp == found.chip.tp
    assert profile.aligned == (found.chip.alignment == "tp")


@pytest.mark.parametrize(
    ("name", "repository"),
    [("llama-8b", "meta-llama/Llama-3.1-8B"), ("llama-70b", "meta-llama/Llama-3.3-70B-Instruct")],
)
def test_shapes_are_those_of_the_catalogue_of_models(name: str, repository: str) -> None:
    known = find_known(repository)

    assert known is not None
    simulated = replace(SHAPES[name], file_format=known.file_format, anatomy=known.anatomy)
    assert simulated == known


def test_spec_takes_the_profiles_that_there_are() -> None:
    choices, _ = get_args(SimSpec.model_fields["profile"].annotation)

    assert get_args(choices) == tuple(PROFILES)


@pytest.mark.skipif(not ROWS.exists(), reason=f"no measured rows: {ROWS.name} is not here")
def test_published_decode_steps_are_met_as_well_as_the_profile_says() -> None:
    errors = []
    with ROWS.open() as lines:
        for row in csv.DictReader(lines):
            if row["model"] not in ("Llama-2-70b", "Llama-3-70B") or row["quality"] != "A":
                continue
            if "bf16" not in row["precision"].lower() or not row["tpot_p50_ms"]:
                continue
            steps = step_time(
                replace(PROFILES["inf2"], legal_tp=None),
                LLAMA_70B,
                tp=int(row["tp"]),
                batch_size=int(row["batch_per_replica"]),
                max_model_len=int(row["seq_len"]),
            )
            errors.append(abs(steps.decode(1, 0) * 1000 / float(row["tpot_p50_ms"]) - 1))

    assert len(errors) >= 10
    assert median(errors) < 0.08
    assert mean(errors) < 0.12


def h100_rows() -> Iterator[dict[str, str]]:
    with H100_ROWS.open() as lines:
        for row in csv.DictReader(lines):
            is_model = row["model"].endswith("Llama-3.1-70B") and row["precision"][:3] == "fp8"
            is_vllm = (row["engine"], row["load"]) == ("vllm", "closed-loop")
            if is_model and is_vllm and "H100" in row["hardware"]:
                yield row


@pytest.mark.skipif(not H100_ROWS.exists(), reason=f"no measured rows: {H100_ROWS.name}")
def test_measured_tpot_on_h100_is_met_as_well_as_the_profile_says() -> None:
    fp8 = replace(LLAMA_70B, weight_bytes=LLAMA_70B.weight_bytes // 2)
    errors = []
    for row in h100_rows():
        batch, output = int(row["concurrency"]), int(row["output_len"])
        prompt = round(0.9 * int(row["input_len"]))  # lengths are 80 to 100 % of the nominal ones
        sizes = {"batch_size": batch, "max_model_len": 16_384}
        steps = step_time(PROFILES["h100"], fp8, tp=int(row["tp"]), **sizes)
        # In a steady state each step carries its share of the prompts.
        context = round(batch * (prompt + 0.45 * output))
        seconds = steps.decode(batch, context) + steps.prompt(prompt) * batch / output
        errors.append(abs(seconds * 1000 / float(row["tpot_ms"]) - 1))

    assert len(errors) == 40
    assert median(errors) < 0.05
    assert quantiles(errors, n=10)[-1] < 0.10
