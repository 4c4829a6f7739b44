"""Counts against published totals; the sums of small models are worked by hand beside them."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest

from replicore.models.anatomy import Anatomy
from replicore.models.known import known_models
from replicore.models.parts import Experts, LatentAttention, LinearAttention, Window
from replicore.models.variants import find_variant

# Source: published totals, and the same formulas worked apart from this code:
# (model, parameters, parameters that one token uses, KV bytes of a token at 16 bits).
EXACT = [
    ("Llama-3.2-1B", 1_235_814_400, 1_235_814_400, 32_768),
    ("Llama-3.1-8B", 8_030_261_248, 8_030_261_248, 131_072),
    ("Llama-3.1-70B", 70_553_706_496, 70_553_706_496, 327_680),
    ("Llama-3.3-70B-Instruct", 70_553_706_496, 70_553_706_496, 327_680),
    ("Llama-3.1-405B", 405_853_388_800, 405_853_388_800, 516_096),
    ("Mistral-7B-v0.3", 7_248_023_552, 7_248_023_552, 131_072),
    ("Mistral-Small-24B-Instruct-2501", 23_572_403_200, 23_572_403_200, 163_840),
    ("Qwen2.5-0.5B-Instruct", 494_032_768, 494_032_768, 12_288),
    ("Qwen2.5-7B-Instruct", 7_615_616_512, 7_615_616_512, 57_344),
    ("Qwen2.5-72B-Instruct", 72_706_203_648, 72_706_203_648, 327_680),
    ("Qwen3-0.6B", 596_049_920, 596_049_920, 114_688),
    ("Qwen3-8B", 8_190_735_360, 8_190_735_360, 147_456),
    ("Qwen3-32B", 32_762_123_264, 32_762_123_264, 262_144),
    ("Mixtral-8x7B-v0.1", 46_702_792_704, 12_879_925_248, 131_072),
    ("Mixtral-8x22B-Instruct-v0.1", 140_630_071_296, 39_161_468_928, 229_376),
    ("Qwen3-30B-A3B", 30_532_122_624, 3_353_032_704, 98_304),
    ("Qwen3-235B-A22B", 235_093_634_560, 22_190_763_520, 192_512),
    ("DeepSeek-V3", 671_026_419_200, 37_552_297_472, 70_272),
    ("DeepSeek-V2-Lite", 15_706_484_224, 2_661_150_208, 31_104),
    ("gpt-oss-20b", 20_914_757_184, 4_187_440_704, 49_152),
    ("phi-2", 2_779_683_840, 2_779_683_840, 327_680),
    ("gpt2", 124_439_808, 124_439_808, 36_864),
    ("opt-1.3b", 1_315_758_080, 1_315_758_080, 196_608),
    ("Llama-4-Scout-17B-16E", 108_641_793_536, 17_172_894_720, 196_608),
    ("Llama-4-Maverick-17B-128E", 401_583_781_376, 17_184_691_200, 196_608),
    ("Mistral-Small-3.2-24B-Instruct-2506", 24_011_361_280, 23_572_403_200, 163_840),
    ("MiniMax-M2.5", 228_689_764_864, 11_030_553_088, 253_952),
    ("Kimi-K2-Instruct", 1_026_408_232_448, 32_861_500_928, 70_272),
]

# 2 layers, h = 8, 4 heads of 2, 2 key/value heads, f = 16, V = 10
SMALL: dict[str, Any] = {
    "layers": 2,
    "hidden": 8,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 2,
    "vocab": 10,
    "intermediate": 16,
}


def small(**changes: Any) -> Anatomy:
    return Anatomy(**{**SMALL, **changes})


def known(name: str) -> Anatomy:
    shape = find_variant(name)
    assert shape is not None
    assert shape.anatomy is not None
    return shape.anatomy


@pytest.mark.parametrize(("name", "parameters", "active", "kv_bytes"), EXACT)
def test_catalogued_model_has_its_published_parameters_and_kv_bytes(
    name: str, parameters: int, active: int, kv_bytes: int
) -> None:
    anatomy = known(name)

    assert anatomy.parameters == parameters
    assert anatomy.active_parameters == active
    assert anatomy.kv_bytes_per_token() == kv_bytes


@pytest.mark.parametrize("name", known_models())
def test_catalogued_weights_are_the_bytes_of_all_parameters(name: str) -> None:
    shape = known_models()[name]
    anatomy = shape.anatomy
    assert anatomy is not None

    # DeepSeek's files have a next-token module besides, which engines do not load.
    extra = 15_436_277_371 if shape.architecture == "deepseek_v3" else 0
    assert anatomy.weight_bytes + extra == shape.weight_bytes


# A shape knows neither linear attention nor the indexer of sparse attention.
_ALIKE = [
    name
    for name, shape in known_models().items()
    if shape.architecture not in ("qwen3_5_text", "qwen3_5_moe_text", "glm_moe_dsa")
]


@pytest.mark.parametrize("name", _ALIKE)
def test_catalogued_shape_and_anatomy_take_the_same_kv_cache(name: str) -> None:
    shape = known_models()[name]
    anatomy = shape.anatomy
    assert anatomy is not None

    assert anatomy.kv_bytes_per_token() == shape.kv_bytes_per_token()


def test_parameters_in_the_catalogues_comments_are_those_that_are_counted() -> None:
    text = files("replicore.models").joinpath("known.toml").read_text(encoding="utf-8")
    entries = text.split("[[models]]")[1:]

    for entry in entries:
        title = entry.partition("\n")[0]
        repository = tomllib.loads(entry.partition("\n")[2])["repositories"][0]
        if "parameters" in title:
            assert f"{known(repository).parameters:,} parameters" in title


def test_parameters_of_a_small_model_are_those_worked_by_hand() -> None:
    # embedding and head 2 x 80, final norm 8; a layer: q and o 2 x 64, k and v 2 x 32, MLP 3 x 128,
    # norms 2 x 8: 592
    assert small().parameters == 168 + 2 * 592


def test_tied_model_counts_its_embedding_once_and_reads_all_of_it() -> None:
    untied, tied = small(), small(tied=True)

    assert untied.parameters - tied.parameters == 80
    # untied: one row of the embedding, 8 values, besides the head
    assert untied.read_parameters(1) - tied.read_parameters(1) == 8
    assert untied.matmul_flops_per_token == tied.matmul_flops_per_token


def test_biases_and_norms_are_counted_where_a_family_has_them() -> None:
    # q, k and v biases: 8 + 4 + 4 in each layer; output 8; MLP of two matrices: 16 + 8
    assert small(qkv_bias=True).parameters - small().parameters == 2 * 16
    assert small(qkv_bias=True, output_bias=True).parameters - small().parameters == 2 * 24
    two = small(mlp_matrices=2)
    assert small(mlp_matrices=2, mlp_bias=True).parameters - two.parameters == 2 * 24
    assert small(qk_norm=4, sinks=True).parameters - small().parameters == 2 * (4 + 4)


def test_rank_keeps_its_share_of_the_matrices_and_all_norms() -> None:
    # norms: 2 x 2 x 8 + 8 = 40
    rank = small().rank_parameters(2)

    assert rank.replicated == 40
    assert rank.sharded == (small().parameters - 40) / 2
    assert rank.all == rank.sharded + rank.replicated


def test_ranks_beyond_the_key_value_heads_keep_copies() -> None:
    # k and v are 2 x 64 = 128 parameters of two heads: at tp = 4 each rank keeps one head, half
    rank = small().rank_parameters(4)

    assert rank.replicated == 40 + 64
    assert small().rank_kv_bytes_per_token(4) == small().rank_kv_bytes_per_token(2)
    assert small().rank_kv_bytes_per_token(2) == small().kv_bytes_per_token() // 2


def test_latent_attention_is_cached_whole_by_every_rank() -> None:
    deepseek = known("DeepSeek-V3")

    assert deepseek.rank_kv_bytes_per_token(8) == deepseek.kv_bytes_per_token() == 70_272


def test_latent_attention_has_the_published_parameters_of_a_layer() -> None:
    # h r_q + r_q + r_q n (nope + rope) + h (r_kv + rope) + r_kv + r_kv n (nope + v) + n v h
    latent = LatentAttention(query_rank=1536, kv_rank=512, rope_dim=64, nope_dim=128, value_dim=128)
    one = Anatomy(
        **SMALL | {"layers": 1, "hidden": 7168, "heads": 128, "intermediate": 0}, latent=latent
    )
    attention = sum(p.parameters for p in one.parts if p.name in ("attention", "latent"))

    assert attention == 187_107_328


def test_step_of_a_mixture_reads_the_experts_that_its_tokens_choose() -> None:
    moe = Experts(layers=2, count=4, per_token=1, intermediate=16)
    mixture = small(experts=moe, intermediate=0)
    experts = next(part for part in mixture.parts if part.name == "experts")
    others = mixture.read_parameters(1) - experts.parameters / 4

    # one token reads 1 of 4 experts; two read 4 (1 - (3/4)^2) = 1.75 of them, and a second row
    assert mixture.read_parameters(2) == pytest.approx(others + experts.parameters * 1.75 / 4 + 8)
    assert mixture.read_parameters(10_000) == pytest.approx(mixture.parameters)


def test_quantised_weights_leave_embedding_head_and_norms_as_they_are() -> None:
    # 16 bits: embedding and head 160, norms 40; 8 bits: the rest
    rest = small().parameters - 200

    assert small().rank_weight_bytes(1) == 2 * small().parameters
    assert small().rank_weight_bytes(1, 1.0) == 2 * 200 + rest
    assert small().rank_weight_bytes(1, 4.0) == 4 * small().parameters


def test_bytes_read_are_read_parameters_in_their_format() -> None:
    assert small().bytes_read(1) == 2 * small().read_parameters(1)
    # All but the head's 80, the norms' 40 and a row of the embedding
    matrices = small().read_parameters(1) - 128
    assert small().bytes_read(1, 1, 0.5) == 2 * 128 + matrices / 2


def test_flops_are_twice_the_parameters_that_are_multiplied() -> None:
    assert small().matmul_flops_per_token == 2 * (small().parameters - 80)
    assert small().head_flops == 2 * 80
    # 4 x 2 layers x 4 heads x 2
    assert small().attention_flops_per_pair == 64


def test_vision_tower_is_loaded_and_neither_read_nor_multiplied() -> None:
    seeing = small(other=1000)

    assert seeing.parameters - small().parameters == 1000
    assert seeing.rank_weight_bytes(4) - small().rank_weight_bytes(4) == 2000
    assert seeing.read_parameters(1) == small().read_parameters(1)
    assert seeing.matmul_flops_per_token == small().matmul_flops_per_token


def test_window_bounds_what_its_layers_cache_and_attend_to() -> None:
    windowed = small(window=Window(tokens=10, layers=1))
    token_of_a_layer = 2 * 2 * 2 * 2  # key and value, 2 heads of 2, 2 bytes

    assert windowed.sequence_kv_bytes(5) == small().sequence_kv_bytes(5)
    assert windowed.sequence_kv_bytes(100) == (100 + 10) * token_of_a_layer
    assert windowed.attended_tokens(100) == 55


def test_linear_attention_keeps_a_state_of_constant_size() -> None:
    linear = LinearAttention(layers=1, parameters=50, state_values=30)
    hybrid = small(linear=linear)

    assert hybrid.kv_bytes_per_token() == small().kv_bytes_per_token() // 2
    assert hybrid.sequence_kv_bytes(0) == 60
    assert hybrid.sequence_kv_bytes(7, tp=2) == 30 + 7 * hybrid.rank_kv_bytes_per_token(2)
