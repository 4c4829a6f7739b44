from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.gateway.routing.lengths import OutputLengths


@pytest.mark.parametrize(("limit", "tokens"), [(None, 256), (16, 16), (4096, 256), (0, 1)])
def test_before_any_answer_a_usual_chat_is_expected(limit: int | None, tokens: int) -> None:
    assert OutputLengths().expected(limit) == tokens


def test_answers_that_go_to_their_limit_are_expected_to() -> None:
    lengths = OutputLengths()
    for limit in (512, 700, 900):
        lengths.learn(limit, limit)

    assert lengths.expected(1000) == 1000


def test_answers_far_below_their_limit_are_expected_there() -> None:
    lengths = OutputLengths()
    for tokens in (90, 100, 110):
        lengths.learn(4096, tokens)

    assert lengths.expected(4096) == 100


def test_answers_to_another_limit_say_nothing() -> None:
    lengths = OutputLengths()
    lengths.learn(4096, 40)

    assert lengths.expected(64) == 64


def test_answers_without_a_limit_are_expected_at_their_p50() -> None:
    lengths = OutputLengths()
    for tokens in (10, 20, 9000):
        lengths.learn(None, tokens)

    assert lengths.expected(None) == 20


def test_answers_of_long_ago_are_forgotten() -> None:
    lengths = OutputLengths()
    for tokens in [10] * 40 + [50] * 40:
        lengths.learn(None, tokens)

    assert lengths.expected(None) == 50


@given(
    st.lists(st.tuples(st.none() | st.integers(0, 10**6), st.integers(0, 10**7)), max_size=50),
    st.integers(0, 10**6),
)
def test_at_least_one_token_and_no_more_than_the_limit_are_expected(
    answers: list[tuple[int | None, int]], limit: int
) -> None:
    lengths = OutputLengths()
    for answer in answers:
        lengths.learn(*answer)

    assert 1 <= lengths.expected(limit) <= max(1, limit)
    assert lengths.expected(None) >= 1
