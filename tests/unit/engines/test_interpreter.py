from __future__ import annotations

import sys
from pathlib import Path

import pytest

from replicore.engines.interpreter import ask_interpreter
from replicore.errors import ConfigError


def test_answer_is_what_the_program_prints() -> None:
    assert ask_interpreter(sys.executable, "print([1, 2])", list[int]) == [1, 2]


def test_variables_do_not_lead_it_to_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    program = "import json, sys; print(json.dumps(sys.path))"

    assert "/elsewhere" not in ask_interpreter(sys.executable, program, list[str])


def test_interpreter_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'engine.python: "/no/python" cannot run'):
        ask_interpreter("/no/python", "", int)


def test_failure_is_told_by_its_last_line() -> None:
    with pytest.raises(ConfigError, match=r"is no Python that can be asked .*: ValueError: broken"):
        ask_interpreter(sys.executable, "raise ValueError('broken')", int)


def test_program_that_is_no_python_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho usage\n")
    program.chmod(0o755)

    with pytest.raises(ConfigError, match=r"is no Python that can be asked .*: no message"):
        ask_interpreter(str(program), "", int)
