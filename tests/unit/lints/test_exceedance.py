from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicore.bench.load.lengths import Lengths
from replicore.lints.exceedance import Length, chance_above, rarely_above


def chances(length: Length) -> dict[int, float]:
    """Return the chance of each number of tokens, one by one."""
    return {n: length.above(n - 1) - length.above(n) for n in range(1, 400)}


def test_fixed_lengths_either_fit_or_do_not() -> None:
    prompt, output = Length(100, 0), Length(28, 0)

    assert chance_above(prompt, output, 128) == 0.0
    assert chance_above(prompt, output, 127) == 1.0


def test_half_of_the_tutorials_requests_exceed_the_compiled_length() -> None:
    # Mean 7936 + 256 = 8192, and as many above it as below; P(sum = 8192) = 1/(sqrt(2 pi) 42.4)
    # = 0.0094, of which half is missing: 0.5 - 0.0047.
    chance = chance_above(Length(7936, 30), Length(256, 30), 8192)

    assert chance == pytest.approx(0.4953, abs=1e-4)


def test_a_length_is_at_least_one_token() -> None:
    length = Length(1, 1)

    assert length.above(0) == 1.0
    # Of a normal above 0.5, whose tail is Phi(0.5) = 0.6915, what is above 1.5: Phi(-0.5) = 0.3085.
    assert length.above(1) == pytest.approx(0.3085 / 0.6915, abs=1e-3)


def test_the_tail_is_right_where_nearly_nothing_is_left() -> None:
    # 9 deviations above the mean: Phi(-9) = 1.13e-19, which 1 - cdf would round to 0.
    assert Length(1000, 10).above(1089) == pytest.approx(1.45e-19, rel=0.3)


def test_the_sum_is_the_sum_over_all_pairs() -> None:
    prompt, output = Length(60, 25), Length(30, 20)
    pairs = product(chances(prompt).items(), chances(output).items())

    expected = sum(p * q for (i, p), (o, q) in pairs if i + o > 120)
    assert chance_above(prompt, output, 120) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("mean", "stddev"), [(64, 16), (10, 10), (3, 3), (500, 120)])
def test_lengths_are_those_that_the_benchmark_draws(mean: int, stddev: int) -> None:
    rng = np.random.default_rng(7)
    draws = [Lengths(mean, stddev).draw(rng) for _ in range(4000)]
    limit = mean + stddev

    drawn = sum(draw > limit for draw in draws) / len(draws)
    assert Length(mean, stddev).above(limit) == pytest.approx(drawn, abs=0.03)


def test_wide_distributions_are_summed_in_stretches_with_the_same_result() -> None:
    # A normal sum: 4e5 + 4e5 = 8e5 +- 7.07e4; 9e5 is 1.414 deviations above: 0.0786.
    chance = chance_above(Length(400_000, 50_000), Length(400_000, 50_000), 900_000)

    assert chance == pytest.approx(0.0786, abs=2e-4)


@settings(max_examples=30)
@given(
    mean=st.integers(1, 1000),
    share=st.floats(0, 1),
    output=st.integers(1, 500),
    chance=st.sampled_from([0.5, 1e-2, 1e-6]),
)
def test_the_rare_length_is_the_smallest_that_keeps_the_chance(
    mean: int, share: float, output: int, chance: float
) -> None:
    lengths = Length(mean, round(share * mean)), Length(output, round(share * output))
    found = rarely_above(*lengths, chance)

    assert chance_above(*lengths, found) <= chance
    assert found == 1 or chance_above(*lengths, found - 1) > chance
