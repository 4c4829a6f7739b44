"""Prompts of exactly the asked length, by two tokenizers of different kinds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from replicore.bench.llmperf.own_prompts import (
    WORDS,
    OwnPrompts,
    estimated,
    instruction,
    probe_text,
    read_probe,
)
from replicore.engines.sim.tokenizer import tokenize

# A template of 7 tokens around a prompt.
TEMPLATE = 7
OUTPUTS = (9, 80, 256, 1024)

Ids = Callable[[str], Sequence[int]]


def by_words(text: str) -> list[int]:
    """Return an id for a word with the space before it, for up to three digits, for a break."""
    pieces = re.findall(r"\n+| ?[A-Za-z]+|\d{1,3}|.", text)
    return [hash(piece) for piece in pieces]


def prompts_by(ids: Ids) -> OwnPrompts:
    costs = read_probe(ids(probe_text(OUTPUTS)), OUTPUTS)
    assert costs is not None
    fixed = TEMPLATE + len(ids(costs.words[0] + instruction(OUTPUTS[0]))) - 1
    return OwnPrompts(costs, fixed=fixed, reference=OUTPUTS[0])


@pytest.mark.parametrize("ids", [tokenize, by_words])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("more", [0, 1, 7, 8, 9, 10, 17, 18, 19, 900])
def test_prompt_has_exactly_the_asked_tokens(ids: Ids, output: int, more: int) -> None:
    prompts = prompts_by(ids)
    tokens = prompts.least_tokens(output) + more
    text = prompts.prompt(tokens, output, np.random.default_rng(1))

    assert TEMPLATE + len(ids(text)) == tokens
    assert text.endswith(instruction(output))


def test_words_that_are_not_one_token_are_left_out() -> None:
    costs = read_probe(tokenize(probe_text(OUTPUTS).replace("that", "thatthat")), OUTPUTS)

    assert costs is not None
    assert set(WORDS) - set(costs.words) == {"that"}


def test_numbers_cost_what_the_tokenizer_makes_of_them() -> None:
    costs = read_probe(tokenize(probe_text((9, 256))), (9, 256))

    assert costs is not None
    # a space, and a token for each digit
    assert costs.numbers == {9: 2, 256: 4}


def test_tokens_without_a_recognisable_line_break_are_of_no_use() -> None:
    assert read_probe(list(range(1000)), OUTPUTS) is None
    assert read_probe([], OUTPUTS) is None


def test_tokenizer_of_characters_is_of_no_use() -> None:
    assert read_probe(list(map(ord, probe_text(OUTPUTS))), OUTPUTS) is None


def test_lines_of_a_prompt_never_repeat_their_order() -> None:
    text = prompts_by(tokenize).prompt(7936, 256, np.random.default_rng(1))
    lines = text.removesuffix(instruction(256)).split("\n")

    assert len(set(pairwise(lines))) == len(lines) - 1


def test_prompts_share_no_beginning_that_a_cache_could_have() -> None:
    prompts = prompts_by(tokenize)
    texts = [prompts.prompt(200, 80, np.random.default_rng(seed)) for seed in range(100)]

    assert len({tuple(text.split()[:4]) for text in texts}) == 100


def test_estimate_counts_a_token_for_every_word() -> None:
    costs = estimated([80, 256])

    assert costs.words == WORDS
    assert costs.numbers == {80: 1, 256: 1}
