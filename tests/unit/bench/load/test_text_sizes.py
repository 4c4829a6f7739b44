"""Tokens of texts: counted, or by the rate of those that were."""

from __future__ import annotations

import asyncio

from replicore.bench.load.counting import count_texts
from replicore.bench.load.text_sizes import TextSizes


class Tokenizer:
    """Two characters a token, for as many texts as it is asked to.

    Attributes:
        asked: Texts so far.
    """

    name = "a test"

    def __init__(self, *, any_text: bool = True, tells: int = 10_000) -> None:
        self.any_text = any_text
        self._tells = tells
        self.asked: list[str] = []

    async def ids(self, text: str) -> list[int] | None:
        self.asked.append(text)
        return [0] * (len(text) // 2) if len(self.asked) <= self._tells else None


def test_counted_texts_have_their_tokens_and_others_the_rate_of_those() -> None:
    sizes = TextSizes.of({"twelve chars": 6, "four": 2})

    assert sizes.tokens("four") == 2
    # 16 characters were 8 tokens
    assert sizes.tokens("x" * 30) == 15


def test_text_has_at_least_one_token() -> None:
    assert TextSizes.of({}).tokens("a") == 1


def test_without_counts_a_token_has_four_characters() -> None:
    assert TextSizes.of({}).tokens("x" * 40) == 10


def test_each_text_is_counted_once() -> None:
    tokenizer = Tokenizer()
    sizes = asyncio.run(count_texts(tokenizer, ["four", "sixsix", "four"]))

    assert tokenizer.asked == ["four", "sixsix"]
    assert sizes.counted == {"four": 2, "sixsix": 3}


def test_no_more_texts_are_counted_than_take_a_moment() -> None:
    tokenizer = Tokenizer()
    asyncio.run(count_texts(tokenizer, (f"text {n}" for n in range(5000))))

    assert len(tokenizer.asked) == 4096


def test_vocabulary_that_knows_only_our_words_is_not_asked() -> None:
    tokenizer = Tokenizer(any_text=False)
    sizes = asyncio.run(count_texts(tokenizer, ["some text"]))

    assert (tokenizer.asked, sizes.counted) == ([], {})


def test_server_that_cannot_tokenize_is_not_asked_on() -> None:
    tokenizer = Tokenizer(tells=0)
    sizes = asyncio.run(count_texts(tokenizer, (f"text {n}" for n in range(100))))

    assert len(tokenizer.asked) <= 16
    assert sizes.counted == {}
