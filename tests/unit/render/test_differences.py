from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.cores import CoreRange
from replicore.engines.command import Command
from replicore.render.differences import Commands, compare
from replicore.render.words import Variable, Word

KNOWN = {"name": ["r0", "r1"], "port": ["8001", "8002"], "cores": ["0-3", "4-7"]}


def command(index: int, *argv: str, **env: str) -> Command:
    return Command(argv=("serve", *argv), env=env, affinity=CoreRange.parse(KNOWN["cores"][index]))


def rebuilt(word: Word, commands: Commands, index: int) -> str:
    parts = [commands.values[p.name][index] if isinstance(p, Variable) else p for p in word]
    return "".join(parts)


def test_words_that_differ_are_made_of_what_is_known() -> None:
    found = compare(
        [command(0, "--port", "8001", "log=/run/r0"), command(1, "--port", "8002", "log=/run/r1")],
        KNOWN,
    )

    assert found.argv[2:] == ((Variable("port"),), ("log=/run/", Variable("name")))
    assert found.affinity == (Variable("cores"),)


def test_unknown_value_is_called_like_its_option() -> None:
    found = compare([command(0, "--seed-of-it", "7"), command(1, "--seed-of-it", "9")], KNOWN)

    assert found.values["seed_of_it"] == ("7", "9")


def test_unknown_value_of_an_assignment_keeps_the_option_in_the_word() -> None:
    found = compare([command(0, "seed=7"), command(1, "seed=9")], KNOWN)

    assert found.argv[-1] == ("seed=", Variable("seed"))


def test_two_unknown_values_have_names_of_their_own() -> None:
    found = compare([command(0, "--x", "1", "--x", "3"), command(1, "--x", "2", "--x", "4")], KNOWN)

    assert (found.values["x"], found.values["x_2"]) == (("1", "2"), ("3", "4"))


def test_variable_of_the_environment_that_differs_is_in_the_table() -> None:
    found = compare([command(0, TAG="one", SAME="1"), command(1, TAG="two", SAME="1")], KNOWN)

    assert found.env == {"TAG": (Variable("tag"),), "SAME": ("1",)}
    assert found.values["tag"] == ("one", "two")


def test_variable_that_only_some_have_is_their_own() -> None:
    found = compare([command(0, SAME="1"), command(1, SAME="1", ONLY="x")], KNOWN)

    assert found.env == {"SAME": ("1",)}
    assert found.own_env == ({}, {"ONLY": "x"})


def test_one_replica_has_no_variables() -> None:
    found = compare([command(0, "--port", "8001")], {"port": ["8001"]})

    assert found.argv == (("serve",), ("--port",), ("8001",))


def test_commands_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="numbers of arguments"):
        compare([command(0), command(1, "--more")], KNOWN)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=6))
def test_every_command_is_had_back_exactly(rows: list[tuple[str, str]]) -> None:
    argvs = [[row[index] for row in rows] for index in (0, 1)]
    found = compare([command(index, *argv) for index, argv in enumerate(argvs)], KNOWN)

    for index, argv in enumerate(argvs):
        assert [rebuilt(word, found, index) for word in found.argv] == ["serve", *argv]
