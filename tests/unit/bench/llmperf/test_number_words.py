"""Numbers in words."""

from __future__ import annotations

import pytest

from replicore.bench.llmperf.number_words import number_words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (7, "seven"),
        (13, "thirteen"),
        (20, "twenty"),
        (42, "forty-two"),
        (100, "one hundred"),
        (110, "one hundred and ten"),
        (999, "nine hundred and ninety-nine"),
        (1000, "one thousand"),
        (1005, "one thousand and five"),
        (1100, "one thousand, one hundred"),
        (4711, "four thousand, seven hundred and eleven"),
        (10_000, "ten thousand"),
    ],
)
def test_number_is_written_as_it_is_said(number: int, words: str) -> None:
    assert number_words(number) == words


def test_every_number_has_words_of_its_own() -> None:
    assert len(set(map(number_words, range(10_001)))) == 10_001
