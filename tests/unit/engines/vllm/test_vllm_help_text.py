from __future__ import annotations

from pathlib import Path

import pytest

from replicore.engines.vllm.help_text import check_options, options_in
from replicore.engines.vllm.installation import Installation
from replicore.errors import ConfigError

HELP = """usage: api_server.py [-h] [--model MODEL]

vLLM OpenAI-Compatible RESTful API server. See --not-an-option.

options:
  -h, --help            show this help message and exit
  --enforce-eager, --no-enforce-eager
                        Whether to use eager mode. Not --this-one.
  --tensor-parallel-size TENSOR_PARALLEL_SIZE, -tp TENSOR_PARALLEL_SIZE
  --dtype {auto,bfloat16}
"""
OPTIONS = {"-h", "--help", "--enforce-eager", "--no-enforce-eager", "--dtype"} | {
    "--tensor-parallel-size",
    "-tp",
}
FOUND = Installation(version="0.32.0", platform="cpu", torch="2.13.0")


def interpreter(folder: Path, script: str) -> str:
    """Return a program that notes each of its calls and then runs the script."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\necho "$3" >> "{folder}/calls"\n{script}\n')
    path.chmod(0o755)
    return str(path)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().split()


def printing(folder: Path, text: str) -> str:
    (folder / "help").write_text(text)
    return interpreter(folder, f'cat "{folder}/help"')


def test_options_are_those_that_have_a_line_of_their_own() -> None:
    assert options_in(HELP) == OPTIONS


def check(python: str, folder: Path, *options: str, found: Installation = FOUND) -> None:
    check_options(options or ("--dtype",), python, found, cache=folder)


def test_help_is_asked_for_once(tmp_path: Path) -> None:
    python = printing(tmp_path, HELP)

    check(python, tmp_path, "--dtype")
    check(python, tmp_path, "-tp", "--enforce-eager")

    assert calls(tmp_path) == ["--help=all"]


def test_no_options_need_no_help(tmp_path: Path) -> None:
    check_options((), "/no/such/python", FOUND, cache=tmp_path)


def test_option_that_the_version_has_not_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--dtpye is .* vLLM 0\.32\.0; did you mean --dtype\?"):
        check(printing(tmp_path, HELP), tmp_path, "--dtpye")


def test_option_of_a_newer_build_with_the_same_version_is_known(tmp_path: Path) -> None:
    check(printing(tmp_path, HELP), tmp_path)
    python = printing(tmp_path, HELP + "  --brand-new\n")

    check(python, tmp_path, "--brand-new")

    assert len(calls(tmp_path)) == 2


def test_another_version_is_asked_again(tmp_path: Path) -> None:
    python = printing(tmp_path, HELP)
    check(python, tmp_path)

    check(python, tmp_path, found=Installation(version="0.33.0", platform="cpu"))

    assert len(calls(tmp_path)) == 2


def test_version_that_has_no_help_for_all_is_asked_for_its_help(tmp_path: Path) -> None:
    (tmp_path / "help").write_text(HELP)
    script = f'[ "$3" = --help ] && exec cat "{tmp_path}/help"; exit 2'

    check(interpreter(tmp_path, script), tmp_path)

    assert calls(tmp_path) == ["--help=all", "--help"]


def test_damaged_answer_in_the_cache_is_asked_again(tmp_path: Path) -> None:
    python = printing(tmp_path, HELP)
    check(python, tmp_path)
    (kept,) = (tmp_path / "vllm-options").iterdir()
    kept.write_text("[")

    check(python, tmp_path)

    assert len(calls(tmp_path)) == 2


def test_cache_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match="--dtpye is not an option"):
        check_options(("--dtpye",), printing(tmp_path, HELP), FOUND, cache=tmp_path / "file")


def test_vllm_that_cannot_print_its_help_is_quoted(tmp_path: Path) -> None:
    python = interpreter(tmp_path, 'echo "ImportError: no libcuda" >&2; exit 1')

    with pytest.raises(ConfigError, match=r"does not say which .*: ImportError: no libcuda"):
        check(python, tmp_path)


def test_variables_of_the_engine_reach_its_help(tmp_path: Path) -> None:
    (tmp_path / "help").write_text(HELP)
    python = interpreter(tmp_path, f'[ "$X" = y ] && exec cat "{tmp_path}/help"; exit 1')

    check_options(("--dtype",), python, FOUND, cache=tmp_path, env={"X": "y"})

    assert calls(tmp_path) == ["--help=all"]
