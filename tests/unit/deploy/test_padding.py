"""What prompts are padded to."""

from __future__ import annotations

import pytest

from replicore.deploy.padding import compiled_prompts, padded_prompt
from replicore.planner.question import Lengths
from replicore.spec import NeuronSpec

BUCKETED = NeuronSpec(bucketing=True)


def test_without_buckets_every_prompt_is_as_long_as_the_longest() -> None:
    assert padded_prompt(NeuronSpec(), Lengths(mean=100, stddev=20), 8704) == 8704
    assert compiled_prompts(NeuronSpec(max_context_length=8192), 8704) == [8192]


def test_own_buckets_are_powers_of_two_up_to_the_longest_prompt() -> None:
    assert compiled_prompts(BUCKETED, 1000) == [128, 256, 512, 1000]
    assert compiled_prompts(BUCKETED, 100) == [100]
    assert compiled_prompts(BUCKETED, 512) == [128, 256, 512]


def test_token_buckets_alone_bring_prompt_buckets_too() -> None:
    assert compiled_prompts(NeuronSpec(token_buckets=(512,)), 300) == [128, 256, 300]


def test_given_buckets_are_taken_in_their_order() -> None:
    spec = NeuronSpec(context_buckets=(4096, 1024))

    assert compiled_prompts(spec, 8192) == [1024, 4096]
    assert padded_prompt(spec, Lengths(mean=1024), 8192) == 1024
    assert padded_prompt(spec, Lengths(mean=1025), 8192) == 4096


def test_a_prompt_beyond_the_longest_bucket_counts_as_the_longest() -> None:
    assert padded_prompt(NeuronSpec(context_buckets=(1024,)), Lengths(mean=2000), 8192) == 1024


def test_lengths_on_both_sides_of_a_bucket_share_what_they_are_padded_to() -> None:
    found = padded_prompt(BUCKETED, Lengths(mean=1024, stddev=100), 8192)

    assert found == pytest.approx((1024 + 2048) / 2)
