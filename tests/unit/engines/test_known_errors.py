"""Every known error is found in a line as programs print it, and none in what they print always."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replicore.engines.known_errors import find_all, find_known
from replicore.engines.known_errors.search import CATALOGUE

HERE = Path(__file__).parent

# Name of the error, and a line as it was printed; paths and numbers are made up.
LINES = [line.split(": ", 1) for line in (HERE / "known_error_lines.txt").read_text().splitlines()]

# What these programs print when all is well.
ORDINARY = (HERE / "ordinary_lines.txt").read_text().splitlines()


@pytest.mark.parametrize(("name", "line"), LINES, ids=[name for name, _ in LINES])
def test_a_line_as_it_is_printed_names_its_error(name: str, line: str) -> None:
    found = find_known(f"loading\n{line}\n")

    assert found is not None
    assert found.name == name


def test_every_known_error_has_a_line_here() -> None:
    assert {error.name for error in CATALOGUE} == {name for name, _ in LINES}


def test_names_are_unique() -> None:
    names = [error.name for error in CATALOGUE]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("line", ORDINARY)
def test_an_ordinary_line_is_no_error(line: str) -> None:
    assert find_known(line) is None


@pytest.mark.parametrize("error", CATALOGUE, ids=lambda error: error.name)
def test_cause_and_cure_read_as_clauses_of_one_sentence(error: object) -> None:
    text = str(error)

    assert text[0].islower() or text[0] in "`/", text
    assert not text.endswith(".")
    assert not re.search(r"  |\n|\. ", text)


def test_of_several_errors_the_most_telling_one_is_known() -> None:
    text = """
        ERROR [core.py:396] EngineCore failed to start.
        torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
        RuntimeError: Engine core initialization failed.
    """
    found = find_known(text)

    assert found is not None
    assert found.name == "cuda-memory"


def test_a_log_gives_each_error_once_with_its_last_line() -> None:
    log = "\n".join(
        [
            "OSError: [Errno 28] No space left on device: 'a'",
            "INFO: ready",
            "  OSError: [Errno 28] No space left on device: 'b'",
            "OSError: [Errno 24] Too many open files",
        ]
    )
    found = find_all(log)

    assert [sighting.error.name for sighting in found] == ["disk", "open-files"]
    assert found[0].line == "OSError: [Errno 28] No space left on device: 'b'"


def test_a_line_is_taken_for_one_error_only() -> None:
    log = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."

    assert [sighting.error.name for sighting in find_all(log)] == ["cuda-memory"]


def test_a_mere_symptom_is_told_only_where_nothing_else_is_known() -> None:
    symptom = "EngineCore failed to start."

    assert [sighting.error.name for sighting in find_all(symptom)] == ["engine-core"]
    assert [s.error.name for s in find_all(f"Killed\n{symptom}")] == ["killed-for-memory"]


def test_an_empty_log_has_no_error() -> None:
    assert find_known("") is None
    assert find_all("") == ()
