"""Chance that a key determines."""

from __future__ import annotations

from itertools import islice

import numpy as np

from replicore.bench.load.seeds import Stream, generator, numbers, uniforms


def test_numbers_are_those_of_the_key_for_ever() -> None:
    # Fixed, so that a seed names the same prompts in every version.
    assert numbers(1, 0, 2)[:3] == (3705607574, 3072510222, 726795120)


def test_numbers_of_different_keys_differ() -> None:
    keys = [(seed, index, stream) for seed in range(5) for index in range(20) for stream in Stream]

    assert len({numbers(*key) for key in keys}) == len(keys)


def test_numbers_do_not_mix_up_keys_of_the_same_digits() -> None:
    assert numbers(1, 23) != numbers(12, 3)


def test_generator_of_one_key_repeats_itself() -> None:
    assert generator(1, 2).random() == generator(1, 2).random()
    assert generator(1, 2).random() != generator(1, 3).random()


def test_uniforms_are_spread_evenly_between_0_and_1() -> None:
    drawn = np.fromiter(islice(uniforms(3), 20_000), float)

    assert 0 < drawn.min() < drawn.max() < 1
    # 2,000 in each tenth, with a deviation of sqrt(20000 x 0.1 x 0.9) = 42
    assert np.all(abs(np.histogram(drawn, 10, (0, 1))[0] - 2000) < 210)
    assert len(set(drawn.tolist())) > 19_990


def test_uniforms_of_one_key_repeat_themselves() -> None:
    assert list(islice(uniforms(1, 2), 40)) == list(islice(uniforms(1, 2), 40))
    assert next(uniforms(1, 2)) != next(uniforms(1, 3))
