from __future__ import annotations

import sys
from pathlib import Path

import pytest

from replicore.engines.interpreter import ask_interpreter, ask_program
from replicore.errors import ConfigError

PATHS = "import json, sys; print(json.dumps(sys.path))"


def executable(folder: Path, script: str) -> str:
    program = folder / "python"
    program.write_bytes(b"#!/bin/sh\n" + script.encode("latin-1"))
    program.chmod(0o755)
    return str(program)


def test_answer_is_what_the_program_prints() -> None:
    assert ask_interpreter(sys.executable, "print([1, 2])", list[int]) == [1, 2]


def test_packages_are_found_as_the_engine_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = ask_interpreter(sys.executable, PATHS, list[str], {"PYTHONPATH": "/elsewhere"})

    assert "/elsewhere" in found
    assert not {"", str(tmp_path)} & set(found)


def test_interpreter_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        ask_interpreter("/no/python", "", int)

    assert caught.value.message == (
        'engine.python: "/no/python" cannot run: No such file or directory'
    )
    assert "environment" in (caught.value.hint or "")


def test_program_that_does_not_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replicore.engines.interpreter.TIMEOUT_S", 0.01)

    with pytest.raises(ConfigError, match=r"cannot run: it does not end within 0 s"):
        ask_interpreter(executable(tmp_path, "exec sleep 1000\n"), "", int)


def test_program_that_reads_its_input_finds_none() -> None:
    printed = ask_program(["cat"], env={}, timeout_s=60)

    assert printed.text == ""


def test_failure_is_told_by_its_last_line() -> None:
    with pytest.raises(ConfigError, match=r"is no Python that can be asked .*: ValueError: broken"):
        ask_interpreter(sys.executable, "raise ValueError('broken')", int)


def test_program_that_is_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no Python that can be asked .*: no message"):
        ask_interpreter(executable(tmp_path, "echo usage\n"), "", int)


def test_words_of_another_encoding_are_no_failure_of_ours(tmp_path: Path) -> None:
    program = executable(tmp_path, "echo Überlauf; echo Überlauf >&2\n")

    with pytest.raises(ConfigError, match="asked for its packages: \N{REPLACEMENT CHARACTER}berl"):
        ask_interpreter(program, "", int)


def test_long_complaint_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ask_interpreter(executable(tmp_path, 'echo "$2" >&2\n'), "x" * 5000, int)

    assert len(caught.value.message) < 500
