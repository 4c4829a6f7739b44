from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.engines.sim.tokenizer import (
    FIRST_CHARACTER,
    VOCABULARY,
    detokenize,
    token_id,
    token_text,
    tokenize,
)

TEXT = st.text() | st.text(alphabet="abz .,\nAé…")


@given(TEXT)
def test_text_survives_the_way_to_tokens_and_back(text: str) -> None:
    assert detokenize(tokenize(text)) == text


@given(st.lists(st.integers(0, VOCABULARY - 1)))
def test_the_text_of_tokens_is_that_of_each_alone(ids: list[int]) -> None:
    text = detokenize(ids)

    assert text == "".join(token_text(token) for token in ids)
    assert text.encode().decode() == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("the", ["the"]),
        ("simulated", ["simu", "late", "d"]),
        ("a cat sat", ["a", " cat", " sat"]),
        ("two  spaces", ["two", " ", " spac", "es"]),
        ("end. ", ["end", ".", " "]),
        ("Hi", ["H", "i"]),
        ("né\n", ["n", "é", "\n"]),
    ],
)
def test_text_is_cut_greedily_and_at_spaces(text: str, tokens: list[str]) -> None:
    assert [token_text(token) for token in tokenize(text)] == tokens


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("a", 2),  # 2 * 1
        (" a", 3),  # and 1 for the space
        ("z", 52),  # 2 * 26
        ("aa", 54),  # 2 * 27
        (" zzzz", FIRST_CHARACTER - 1),
        ("A", FIRST_CHARACTER + 65),
        ("\U0010ffff", VOCABULARY - 1),
    ],
)
def test_token_id_is_computed_from_the_text(text: str, number: int) -> None:
    assert token_id(text) == number
    assert token_text(number) == text


def test_half_a_surrogate_pair_is_shown_as_the_replacement_character() -> None:
    assert token_text(FIRST_CHARACTER + 0xD800) == "\ufffd"
