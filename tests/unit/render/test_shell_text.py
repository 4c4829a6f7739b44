from __future__ import annotations

from replicore.render.shell.text import folded, invocation, unset


def test_numbered_words_become_one_with_braces() -> None:
    words = ["model.pt", "tp0.bin", "tp1.bin", "tp2.bin"]

    assert folded(words) == ["model.pt", "tp{0..2}.bin"]


def test_words_whose_numbers_are_not_in_order_stay() -> None:
    assert folded(["tp0.bin", "tp2.bin"]) == ["tp0.bin", "tp2.bin"]


def test_words_with_special_characters_are_quoted() -> None:
    assert folded(["a b", "*.pt"]) == ["'a b'", "'*.pt'"]


def test_each_option_has_a_line_with_its_value() -> None:
    lines = invocation([("python",), ("-m",), ("x",), ("--port",), ("1",)], prefix="exec ")

    assert lines == ["exec python -m x \\", "  --port 1"]


def test_each_assignment_has_a_line() -> None:
    lines = invocation([("python",), ("serve.py",), ("a=1",), ("b=2 3",)], prefix="exec ")

    assert lines == ["exec python serve.py \\", "  a=1 \\", "  'b=2 3'"]


def test_nothing_to_take_away_has_no_line() -> None:
    assert unset([]) == []


def test_many_variables_are_taken_away_in_lines_of_a_hundred() -> None:
    lines = unset(f"VARIABLE_NUMBER_{i}" for i in range(20))

    assert max(len(line) for line in lines) <= 100
    assert sum(line.count("VARIABLE") for line in lines) == 20
