"""Lengths and prompts: seeded, exact, and never the same prefix twice."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.bench.load.workload import (
    IdPrompts,
    Lengths,
    TextPrompts,
    Workload,
    pool_text,
    random_words,
)
from replicore.errors import ConfigError

POOL = IdPrompts(range(1000, 2000))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_lengths_without_deviation_are_the_mean() -> None:
    lengths = [Lengths(128).draw(rng(seed)) for seed in range(20)]

    assert lengths == [128] * 20


def test_lengths_are_normal_around_the_mean() -> None:
    source = rng()
    lengths = [Lengths(500, 50).draw(source) for _ in range(2000)]

    # Standard error of the mean: 50 / sqrt(2000) = 1.1; of the deviation: 50 / sqrt(4000) = 0.8.
    assert abs(np.mean(lengths) - 500) < 5
    assert abs(np.std(lengths) - 50) < 4


@given(mean=st.floats(1, 50), stddev=st.floats(0, 1000), seed=st.integers(0, 2**32))
def test_lengths_are_never_below_one_token(mean: float, stddev: float, seed: int) -> None:
    assert Lengths(mean, stddev).draw(rng(seed)) >= 1


def test_lengths_truncated_at_one_are_redrawn_rather_than_raised_to_one() -> None:
    source = rng()
    lengths = [Lengths(1, 10).draw(source) for _ in range(1000)]

    # Half of a normal around 1 is below 1; raised to 1 they would be half of all lengths.
    assert lengths.count(1) < 150


@pytest.mark.parametrize(
    ("mean", "stddev"), [(0, 0), (0.5, 0), (-1, 0), (float("nan"), 0), (10, -1)]
)
def test_lengths_out_of_range_are_refused(mean: float, stddev: float) -> None:
    with pytest.raises(ConfigError, match="length"):
        Lengths(mean, stddev)


def test_workload_of_one_seed_repeats_itself() -> None:
    first, second = (
        Workload(input_tokens=Lengths(100, 30), output_tokens=Lengths(50, 10), seed=7)
        for _ in range(2)
    )

    for index in range(20):
        assert first.request(index) == second.request(index)
        assert first.request(index).prompt(POOL) == second.request(index).prompt(POOL)


def test_workload_input_lengths_do_not_depend_on_output_lengths() -> None:
    short = Workload(input_tokens=Lengths(100, 30), output_tokens=Lengths(8))
    varied = Workload(input_tokens=Lengths(100, 30), output_tokens=Lengths(500, 100))

    inputs = [[w.request(index).input_tokens for index in range(50)] for w in (short, varied)]

    assert inputs[0] == inputs[1]


def test_warmup_prompts_differ_from_measured_prompts() -> None:
    workload = Workload(seed=1)
    warm = {tuple(workload.request(i, warmup=True).prompt(POOL)) for i in range(50)}
    measured = {tuple(workload.request(i).prompt(POOL)) for i in range(50)}

    assert warm.isdisjoint(measured)


@given(tokens=st.integers(1, 3000), pool=st.integers(1, 500), seed=st.integers(0, 2**32))
def test_id_prompt_has_exactly_the_asked_tokens(tokens: int, pool: int, seed: int) -> None:
    prompt = IdPrompts(range(pool)).prompt(tokens, rng(seed))

    assert len(prompt) == tokens
    assert all(0 <= token < pool for token in prompt)


def test_id_prompts_share_no_prefix_that_a_cache_could_use() -> None:
    workload = Workload(input_tokens=Lengths(64), seed=3)
    # A pool far smaller than the number of prompts: their starting places must repeat.
    pool = IdPrompts(range(40))
    prompts = [workload.request(index).prompt(pool) for index in range(200)]

    # 40^8 possible beginnings; the smallest cache blocks of the engines hold 16 tokens.
    assert all(a[:8] != b[:8] for a, b in combinations(prompts, 2))


def test_id_prompts_of_two_seeds_differ() -> None:
    first, second = (Workload(seed=seed).request(0).prompt(POOL) for seed in (1, 2))

    assert first != second


def test_text_prompt_has_the_words_that_the_rate_gives() -> None:
    # (110 asked - 10 of the template) / 1.25 per word = 80 words
    prompt = TextPrompts(tokens_per_word=1.25, overhead=10).prompt(110, rng())

    assert len(prompt.split()) == 80


def test_text_prompt_shorter_than_the_template_still_has_a_word() -> None:
    assert len(TextPrompts(tokens_per_word=1.25, overhead=30).prompt(20, rng()).split()) == 1


def test_random_words_have_the_asked_count_and_follow_the_seed() -> None:
    assert len(random_words(300, rng()).split()) == 300
    assert pool_text(5, 100) == pool_text(5, 100)
    assert pool_text(5, 100) != pool_text(6, 100)
