"""Why a tensor parallel degree is not possible, and the nearest that is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.cores import CoreRange
from replicore.hardware.machine import Machine, NumaNode
from replicore.models.known import find_known
from replicore.models.shape import ModelShape
from replicore.planner.legality import Splits


def machine(cores: int, legal_tp: tuple[int, ...] | None = None) -> Machine:
    usable = CoreRange.of(range(cores))
    return Machine(
        kind="cuda",
        name="8 pretend devices",
        cores=usable,
        core_limit=cores,
        numa=(NumaNode(index=0, cores=usable),),
        memory_bytes=2**40,
        legal_tp=legal_tp,
    )


def shape(name: str) -> ModelShape:
    found = find_known(name)
    assert found is not None
    return found


def splits(name: str, cores: int, legal: tuple[int, ...]) -> Splits:
    return Splits(machine=machine(cores), shape=shape(name), legal=legal, on_vllm=True)


@pytest.mark.parametrize(
    ("model", "tp", "value"),
    [
        # facts/planner.md 3.9
        ("Qwen/Qwen2.5-7B-Instruct", 3, "num_attention_heads = 28 is not divisible by tp = 3"),
        ("Qwen/Qwen2.5-7B-Instruct", 7, "num_key_value_heads = 4"),
        ("Qwen/Qwen2.5-0.5B-Instruct", 14, "vocab_size = 151936"),
    ],
)
def test_a_refusal_names_the_value_of_the_config_that_stands_against_it(
    model: str, tp: int, value: str
) -> None:
    assert value in splits(model, 16, (1, 2, 4)).refusal(tp)


def test_a_refusal_names_the_nearest_degrees_that_work() -> None:
    refusal = splits("meta-llama/Llama-3.1-8B-Instruct", 16, (1, 2, 4, 8)).refusal(6)

    assert refusal.endswith("the nearest that works: 4 and 8")


def test_more_ranks_than_cores_are_refused_by_the_number_of_cores() -> None:
    refusal = splits("meta-llama/Llama-3.1-8B-Instruct", 4, (1, 2, 4)).refusal(8)

    assert refusal.startswith("8 is more than the 4 cores of 8 pretend devices")


def test_a_degree_that_the_device_does_not_have_is_refused_by_the_device() -> None:
    of_device = replace(
        splits("meta-llama/Llama-3.1-8B-Instruct", 24, (1, 8)), machine=machine(24, (1, 8, 24))
    )

    assert of_device.refusal(2).startswith("8 pretend devices has no replicas of 2 cores")


def test_threads_of_one_rank_are_refused_for_no_size_of_the_model() -> None:
    threads = Splits(
        machine=machine(6),
        shape=shape("Qwen/Qwen2.5-7B-Instruct"),
        legal=(1, 2, 3, 4, 5, 6),
        rank_cores=None,
    )

    assert [tp for tp in range(1, 7) if threads.refusal(tp)] == []


def test_of_many_degrees_only_usual_ones_are_looked_at() -> None:
    threads = Splits(
        machine=machine(64),
        shape=shape("Qwen/Qwen2.5-7B-Instruct"),
        legal=tuple(range(1, 65)),
        rank_cores=None,
    )

    assert {1, 2, 3, 4, 16, 21, 32, 48, 64} <= set(threads.worth_a_look())
    assert 37 not in threads.worth_a_look()
