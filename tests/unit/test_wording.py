from __future__ import annotations

import pytest

from replicore.wording import listed, nearest, quoted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('a "b"\n', r'"a \"b\"\n"'),
        ("\x7f\u2028", r'"\U0000007f\U00002028"'),
        ("ä", '"ä"'),
        (True, "true"),
        (2.5, "2.5"),
        (2**64 - 1, "18446744073709551615"),
        (2**64, "a number of more than 64 bits"),
        ([1], "an array"),
        ({}, "a table"),
    ],
)
def test_value_is_quoted_as_toml_would_write_it(value: object, text: str) -> None:
    assert text == quoted(value)


def test_long_value_is_cut_inside_its_quotes() -> None:
    assert quoted("a" * 100) == '"' + "a" * 75 + '..."'  # 80 characters in all


def test_choices_are_quoted_and_separated() -> None:
    assert listed(["a", 2]) == '"a", 2'


def test_nearest_choice_is_found_whatever_the_case() -> None:
    assert nearest("TPP", ["replicas", "Tp"]) == "Tp"


def test_nothing_near_is_none() -> None:
    assert nearest("xyzzy", ["replicas", "tp"]) is None
