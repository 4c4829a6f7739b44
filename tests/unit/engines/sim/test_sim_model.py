from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.engines.sim.model import BLOCK_TOKENS, Context
from replicore.engines.sim.tokenizer import detokenize, token_text, tokenize

TEXT = st.text() | st.text(alphabet="abz .,\nAé…")


def continuation(ids: list[int], count: int) -> list[int]:
    """Return at most ``count`` tokens that follow ``ids``."""
    return Context(ids).grow(count)


@given(TEXT, st.integers(0, 60))
def test_output_goes_on_alike_from_tokens_wherever_it_is_split(prompt: str, split: int) -> None:
    ids = tokenize(prompt)
    output = continuation(ids, 60)

    assert (
        output
        == output[:split]
        + continuation(ids + output[:split], 60 - split)[
            : len(output) - split if split < len(output) else 0
        ]
    )


@given(TEXT, st.integers(0, 60))
def test_output_cut_into_tokens_again_with_its_prompt_is_the_same(prompt: str, split: int) -> None:
    ids = tokenize(prompt)
    sent = continuation(ids, split)

    assert tokenize(prompt + detokenize(sent)) == ids + sent


@given(st.lists(st.integers(1, 40), max_size=4))
def test_output_is_the_same_in_parts_of_any_size(sizes: list[int]) -> None:
    whole, parts = Context(tokenize("hello")), Context(tokenize("hello"))

    assert whole.grow(sum(sizes)) == [token for size in sizes for token in parts.grow(size)]
    assert whole.blocks == parts.blocks


def test_output_depends_on_the_first_token_of_the_prompt() -> None:
    first = continuation(tokenize("a" + " the" * 500), 10)
    second = continuation(tokenize("b" + " the" * 500), 10)

    assert first != second


def test_text_ends_after_a_full_stop() -> None:
    prompts = [tokenize(f"prompt {number}") for number in range(20)]
    outputs = [continuation(prompt, 10_000) for prompt in prompts]

    assert all(token_text(output[-1]) == "." for output in outputs if output)
    assert all(len(output) < 10_000 for output in outputs)


def test_ignored_end_of_text_is_followed_by_more() -> None:
    prompt = tokenize("hello")
    context = Context(prompt + continuation(prompt, 10_000))

    assert context.grow(1) == []
    assert len(context.grow(3, ignore_eos=True)) == 3


@pytest.mark.parametrize(("length", "blocks"), [(0, 0), (15, 0), (16, 1), (40, 2)])
def test_each_full_block_has_a_hash(length: int, blocks: int) -> None:
    assert len(Context(range(length)).blocks) == blocks


def test_block_hashes_are_equal_as_far_as_all_tokens_before_are() -> None:
    ids = list(range(4 * BLOCK_TOKENS))
    other = [*ids]
    other[20] = 7
    hashes, others = Context(ids).blocks, Context(other).blocks

    assert [a == b for a, b in zip(hashes, others, strict=True)] == [True, False, False, False]


def test_words_are_varied() -> None:
    words = set(islice(continuation(tokenize("variety"), 10_000), 100))

    assert len(words) > 50
