"""Text with looks."""

from __future__ import annotations

import pytest

from replicore.bench.report.looks import ALARM, PLAIN, Line, painted

RED: Line = [("ab", PLAIN), ("cd", ALARM)]


def test_line_has_the_codes_of_its_looks() -> None:
    assert painted(RED, 80, colored=True) == "ab\x1b[1;31mcd\x1b[0m"


@pytest.mark.parametrize(
    ("width", "text"), [(3, "ab\x1b[1;31mc\x1b[0m"), (2, "ab"), (1, "a"), (0, "")]
)
def test_line_is_cut_without_its_codes_being_cut(width: int, text: str) -> None:
    assert painted(RED, width, colored=True) == text
