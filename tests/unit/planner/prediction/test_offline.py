"""Throughput where requests never run short: hand-worked batches and waves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.prediction.offline import (
    Offline,
    offline_batch,
    offline_terms,
    offline_tok_s,
)
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica
from replicore.planner.step.terms import tpot_terms
from replicore.planner.step.traffic import Case, Traffic

LLAMA_8B = Anatomy(
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128_256,
    intermediate=14_336,
)
REPLICA = Replica(
    device=devices()["h100"],
    engine="vllm",
    anatomy=LLAMA_8B,
    precision=Precision(),
    tp=1,
    kv_tokens=6000.0,
)
LOAD = Offline(input_tokens=100, output_tokens=200)


def step_terms(batch: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    traffic = Traffic(input_tokens=100, output_tokens=200, concurrency=batch)
    return np.array(tpot_terms(Case(replica=replace(REPLICA, kv_tokens=None), traffic=traffic)))


BATCHES = [
    (LOAD, "vllm", 30.0),  # 6000 / (100 + 200 / 2)
    (LOAD, "trtllm", 20.0),  # 6000 / (100 + 200): it keeps room for the whole output
    (replace(LOAD, max_batch=16), "vllm", 16.0),
    (replace(LOAD, requests=5), "vllm", 5.0),
    (replace(LOAD, input_tokens=50_000), "vllm", 1.0),
]


@pytest.mark.parametrize(("load", "engine", "batch"), BATCHES)
def test_the_batch_is_the_least_of_room_limit_and_requests(
    load: Offline, engine: str, batch: float
) -> None:
    assert offline_batch(replace(REPLICA, engine=engine), load) == pytest.approx(batch)


def test_a_batch_that_nothing_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="kv_tokens, max_batch or requests"):
        offline_batch(replace(REPLICA, kv_tokens=None), LOAD)


def test_requests_without_end_cost_a_step_divided_by_the_batch() -> None:
    assert offline_terms(REPLICA, LOAD) == pytest.approx(step_terms(30) / 30)


def test_the_rest_of_the_requests_is_a_wave_of_its_own() -> None:
    # 70 requests, 30 at a time: two waves of 30 and one of 10.
    expected = (2 * step_terms(30) + step_terms(10)) / 70

    assert offline_terms(REPLICA, replace(LOAD, requests=70)) == pytest.approx(expected)


def test_throughput_is_one_over_the_seconds_of_a_token() -> None:
    load = replace(LOAD, requests=70)
    seconds = offline_terms(REPLICA, load) @ uncalibrated().common.tpot.values

    assert offline_tok_s(uncalibrated(), [REPLICA], load) == pytest.approx([1 / seconds])


def test_more_room_gives_more_tokens_per_second() -> None:
    roomy = replace(REPLICA, kv_tokens=60_000.0)

    less, more = offline_tok_s(uncalibrated(), [REPLICA, roomy], LOAD)

    assert more > 2 * less
