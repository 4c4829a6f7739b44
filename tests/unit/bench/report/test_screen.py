"""Drawing over what was drawn, as a terminal would show it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from replicore.bench.report.screen import Screen, painted
from replicore.bench.report.view import ALARM, PLAIN, Line

RED: Line = [("ab", PLAIN), ("cd", ALARM)]


def screen(height: int = 10, *, no_color: bool = False) -> tuple[Screen, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=20, height=height, no_color=no_color)
    return Screen(console), file


def test_line_has_no_codes_where_colour_is_not_wanted() -> None:
    drawn, file = screen(no_color=True)

    drawn.draw([RED])

    assert file.getvalue() == "abcd\n"


def test_second_picture_replaces_the_first_one() -> None:
    drawn, file = screen()

    drawn.draw([[("one", PLAIN)], [("two", PLAIN)]])
    drawn.draw([[("three", PLAIN)]])

    assert file.getvalue() == "one\ntwo\n\x1b[2F\x1b[Jthree\n"


def test_picture_higher_than_the_terminal_is_cut() -> None:
    drawn, file = screen(height=3)

    drawn.draw([[(str(number), PLAIN)] for number in range(9)])
    drawn.clear()

    assert file.getvalue() == "0\n1\n\x1b[2F\x1b[J"


def test_clearing_what_was_never_drawn_does_nothing() -> None:
    drawn, file = screen()

    drawn.clear()

    assert file.getvalue() == ""


def test_line_has_the_codes_of_its_looks() -> None:
    assert painted(RED, 80, colored=True) == "ab\x1b[1;31mcd\x1b[0m"


@pytest.mark.parametrize(
    ("width", "text"), [(3, "ab\x1b[1;31mc\x1b[0m"), (2, "ab"), (1, "a"), (0, "")]
)
def test_line_is_cut_without_its_codes_being_cut(width: int, text: str) -> None:
    assert painted(RED, width, colored=True) == text


def test_codes_within_a_text_do_not_reach_the_terminal() -> None:
    assert painted([("r0\x1b[2J\n", PLAIN)], 80, colored=True) == "r0?[2J?"
