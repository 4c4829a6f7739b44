from __future__ import annotations

import pytest

from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant
from replicore.planner.memory.loaded import loaded_weight_bytes
from replicore.units import GIB


def shape(name: str) -> ModelShape:
    found = find_variant(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "tp", "pp", "gib"),
    [
        ("Llama-3.1-8B-Instruct", 1, 1, 14.99),
        ("Llama-3.1-8B-Instruct", 2, 1, 7.51),
        ("Llama-3.1-8B-Instruct", 4, 1, 3.77),
        ("Llama-3.1-8B-Instruct", 1, 2, 7.51),
        ("Llama-3.1-8B-Instruct", 1, 4, 4.26),
        ("Qwen2.5-7B-Instruct", 1, 1, 14.25),
        ("Qwen3-8B", 1, 3, 5.48),
        ("Qwen3-32B", 2, 1, 30.59),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", 1, 1, 67.72),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", 2, 1, 33.88),
        ("Mistral-Small-3.2-24B-Instruct-2506", 1, 1, 44.76),
        ("gpt-oss-20b", 1, 1, 13.47),
    ],
)
def test_loaded_weights_are_within_a_percent_of_what_vllm_reported(
    name: str, tp: int, pp: int, gib: float
) -> None:
    assert loaded_weight_bytes(shape(name), tp=tp, pp=pp) / GIB == pytest.approx(gib, rel=0.01)


def test_table_of_positions_is_loaded_by_every_rank() -> None:
    model = shape("Llama-3.1-8B")
    assert model.anatomy is not None

    # 131072 positions x 128 x 2 bytes
    for tp in (1, 2, 8):
        table = loaded_weight_bytes(model, tp=tp) - model.anatomy.rank_weight_bytes(tp)
        assert table == 131_072 * 128 * 2


def test_model_with_learned_positions_has_no_table() -> None:
    gpt2 = shape("gpt2")

    assert loaded_weight_bytes(gpt2, tp=1) == gpt2.weight_bytes


def test_first_stage_has_the_embedding_and_the_last_the_head() -> None:
    # Half of 32 layers' 218,112,000 parameters and half the final norm, and one of two tables
    stage = loaded_weight_bytes(shape("Llama-3.1-8B"), tp=1, pp=2) - 131_072 * 128 * 2

    assert stage == 2 * (16 * 218_112_000 + 2048 + 128_256 * 4096)


def test_weights_quantised_by_the_engine_take_the_bytes_that_are_asked_for() -> None:
    model = shape("Llama-3.1-8B")

    assert loaded_weight_bytes(model, tp=1, weight_bytes_per_param=1.0) < 0.6 * model.weight_bytes
