"""Words that are one token each, found by counts of whole groups."""

from __future__ import annotations

import asyncio

from replicore.bench.load.prompts.one_token import one_token_words
from replicore.bench.load.prompts.words import LEAD, WORDS


class Counting:
    """Counts a token per word, more for long words, and a template's.

    Attributes:
        asked: Texts so far.
    """

    def __init__(self, *, longest: int, long_tokens: int = 2, template: int = 5) -> None:
        self._longest = longest
        self._long_tokens = long_tokens
        self._template = template
        self.asked: list[str] = []

    async def __call__(self, text: str) -> int | None:
        self.asked.append(text)
        sizes = (1 if len(word) <= self._longest else self._long_tokens for word in text.split())
        return self._template + sum(sizes)


def words_of(counting: Counting) -> tuple[str, ...]:
    return asyncio.run(one_token_words(counting))


def test_words_that_are_one_token_are_all_found() -> None:
    assert set(words_of(Counting(longest=20))) == set(WORDS)


def test_words_of_several_tokens_are_left_out() -> None:
    words = words_of(Counting(longest=4))

    assert len(words) > 100
    assert max(map(len, words)) == 4


def test_first_word_may_be_other_tokens_than_inside_a_text() -> None:
    class FirstIsLong(Counting):
        async def __call__(self, text: str) -> int | None:
            return 3 + (await super().__call__(text) or 0)

    assert set(words_of(FirstIsLong(longest=20))) == set(WORDS)


def test_no_words_are_found_where_each_is_several_tokens() -> None:
    counting = Counting(longest=0)

    assert words_of(counting) == ()
    # One question a group, and none for its halves: every word was seen to be too long.
    assert len(counting.asked) < len(WORDS) / 10


def test_asking_in_groups_takes_few_questions() -> None:
    counting = Counting(longest=4)
    words_of(counting)

    assert len(counting.asked) < 40
    assert all(text.startswith(LEAD) for text in counting.asked)


def test_few_long_words_among_others_do_not_spoil_those() -> None:
    async def count(text: str) -> int | None:
        return sum(2 if "v" in word else 1 for word in text.split())

    words = asyncio.run(one_token_words(count))

    assert not [word for word in words if "v" in word]
    # Eight of the words have a v; at most the three that are asked about with each are lost.
    assert len(words) >= len(WORDS) - 4 * 8


def test_words_that_merge_with_their_neighbours_are_left_out() -> None:
    async def count(text: str) -> int | None:
        return len(text.split()) // 2

    assert asyncio.run(one_token_words(count)) == ()


def test_no_words_are_found_where_nobody_can_count() -> None:
    async def nobody(text: str) -> int | None:
        return None

    assert asyncio.run(one_token_words(nobody)) == ()
