"""Ways into documents that others wrote, whatever is in them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from replicore.bench.compare.formats.source import (
    at,
    first_of,
    mean,
    number,
    numbers,
    objects,
    quotient,
    text,
    whole,
)


def test_a_path_leads_to_what_lies_there_or_nowhere() -> None:
    document = {"a": {"b": 1}, "list": [1]}

    assert at(document, "a", "b") == 1
    assert at(document, "a", "x", "y") is None
    assert at(document, "list", "a") is None
    assert at(None, "a") is None


def test_the_first_path_that_leads_somewhere_is_taken() -> None:
    assert first_of({"new": None, "old": 2}, ("new",), ("old",)) == 2
    assert first_of({}, ("new",)) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1, 1.0),
        (1.5, 1.5),
        ("550", 550.0),
        ("inf", None),
        (math.nan, None),
        (True, None),
        (None, None),
        ("poisson", None),
        ([1], None),
        (10**400, None),
    ],
)
def test_only_finite_numbers_are_numbers(value: Any, found: float | None) -> None:
    assert number(value) == found


def test_whole_numbers_may_be_written_as_fractions() -> None:
    assert whole(100.0) == 100
    assert whole("x") is None


def test_texts_and_lists_of_the_wrong_type_are_nothing() -> None:
    assert text("") is None
    assert text(3) is None
    assert objects({"a": 1}) == []
    assert objects([{"a": 1}, 2]) == [{"a": 1}]
    assert numbers("12") == []
    assert numbers([1, None]) == [1.0, None]


def test_mean_is_of_those_that_are_there() -> None:
    assert mean([1.0, None, 3.0]) == 2.0
    assert mean([None]) is None


def test_a_quotient_by_nothing_is_nothing() -> None:
    assert quotient(6.0, 3) == 2.0
    assert quotient(6.0, 0) is None
    assert quotient(6.0, None) is None
    assert quotient(None, 3) is None
