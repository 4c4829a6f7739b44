from __future__ import annotations

import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from replicore.render.words import Variable, Word, cut, shell_word

NASTY = ["", "a b", "$HOME", "`id`", '"', "'", "\\", "a\nb", "!x", "*", "${PORT}", "é", "-n", "a;b"]


def printed(words: list[Word], **variables: str) -> list[str]:
    """Return what bash makes of the words."""
    script = "printf '%s\\0' " + " ".join(shell_word(word) for word in words)
    done = subprocess.run(["bash", "-c", script], env=variables, capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"))


@given(st.lists(TEXTS, min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
@example(NASTY)
def test_word_is_to_bash_what_it_says(texts: list[str]) -> None:
    assert printed([(text,) for text in texts]) == texts


def test_variable_is_replaced_and_the_text_around_it_is_not() -> None:
    words: list[Word] = [(text, Variable("PORT"), text) for text in NASTY]

    assert printed(words, PORT="80 $x") == [f"{text}80 $x{text}" for text in NASTY]


def test_braces_are_only_where_a_name_would_run_on() -> None:
    assert shell_word((Variable("BIN"), "/python")) == '"$BIN/python"'
    assert shell_word((Variable("NAME"), "_log")) == '"${NAME}_log"'


def test_path_is_cut_out_where_it_ends_or_goes_on_with_a_slash() -> None:
    paths = {"MODEL": "/models/m"}

    assert cut(("--model=/models/m",), paths) == ("--model=", Variable("MODEL"))
    assert cut(("/models/m/x",), paths) == (Variable("MODEL"), "/x")
    assert cut(("/models/mistral",), paths) == ("/models/mistral",)


def test_longest_path_wins() -> None:
    paths = {"ROOT": "/srv", "MODEL": "/srv/model"}

    assert cut(("/srv/model",), paths) == (Variable("MODEL"),)


def test_variables_are_left_alone() -> None:
    assert cut((Variable("PORT"), "/srv"), {"ROOT": "/srv"}) == (Variable("PORT"), Variable("ROOT"))
