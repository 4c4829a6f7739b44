"""The questions of the correctness check, and what becomes of their answers."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.bench.llmperf.questions import (
    Answer,
    answers,
    by_replica,
    draw_numbers,
    plain,
    question,
)
from replicore.bench.record import FailureKind
from tests.unit.bench.llmperf.made import failed, record


def answer(text: str, number: int = 4711, **fields: Any) -> Answer:
    return answers([number], [record(text=text, **fields)])[0]


def test_question_is_that_of_llmperf() -> None:
    assert question(4711) == (
        "Convert the following sequence of words into a number: "
        "four thousand, seven hundred and eleven.\nPrint the number first."
    )


@pytest.mark.parametrize(
    ("text", "mismatched"),
    [
        ("4711", False),
        ("4,711", False),
        ("It is 4,711, not 4,700.", False),
        ("First 12, then 4711", False),
        ("47110", True),
        ("four", True),
        ("", True),
    ],
)
def test_answer_matches_where_the_number_is_among_those_in_it(text: str, mismatched: bool) -> None:
    assert answer(text).mismatched is mismatched


def test_commas_are_taken_out_between_digits_only() -> None:
    assert plain("1,234,567 and 8, 9") == "1234567 and 8, 9"


def test_failed_request_is_an_error_and_no_mismatch() -> None:
    [found] = answers([1], [failed(FailureKind.HTTP, status=500)])

    assert (found.errored, found.mismatched) == (True, False)


def test_every_number_is_asked_of_all_servers_in_turn() -> None:
    numbers = draw_numbers(50, servers=2, seed=1)

    assert len(numbers) == 50
    assert numbers[0::2] == numbers[1::2]
    assert all(0 <= number <= 10_000 for number in numbers)


def test_last_number_is_asked_of_as_many_servers_as_requests_are_left() -> None:
    numbers = draw_numbers(7, servers=3, seed=1)

    assert [numbers.count(number) for number in dict.fromkeys(numbers)] == [3, 3, 1]


def test_seed_decides_the_numbers() -> None:
    assert draw_numbers(20, 1, seed=5) == draw_numbers(20, 1, seed=5)
    assert draw_numbers(20, 1, seed=5) != draw_numbers(20, 1, seed=6)


def test_answers_belong_to_numbers_by_their_index() -> None:
    found = answers([10, 20, 30], [record(index=2), record(index=0)])

    assert [one.number for one in found] == [30, 10]


def test_replica_that_answers_otherwise_is_counted() -> None:
    rows = by_replica(
        [
            answer("1 is it", 1, replica="a"),
            answer("1", 1, replica="b"),
            answer("2", 2, replica="a"),
            answer("7", 2, replica="b"),
        ]
    )

    assert [(row.replica, row.asked, row.mismatched) for row in rows] == [("a", 2, 0), ("b", 2, 1)]
    assert [row.differing for row in rows] == [[2], [2]]


def test_error_of_a_replica_is_no_difference() -> None:
    [good] = answers([1], [record(text="1", replica="a")])
    [bad] = answers([1], [failed(FailureKind.CUT, replica="b")])
    rows = by_replica([good, bad])

    assert [(row.errors, row.differing) for row in rows] == [(0, []), (1, [])]
