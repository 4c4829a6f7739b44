"""``replicore compare`` as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from replicore.cli.compare import compare
from replicore.errors import ConfigError
from tests.unit.bench.compare.results import aiperf, ours, vllm


@pytest.fixture(name="files")
def result_files(tmp_path: Path) -> list[str]:
    documents = {"ours.json": ours(), "vllm.json": vllm(), "aiperf.json": aiperf()}
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
    return [str(tmp_path / name) for name in documents]


def run(*args: str) -> int:
    app = typer.Typer()
    app.command()(compare)
    return app(list(args), standalone_mode=False) or 0


def test_three_tools_are_compared_on_the_terminal(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(*files)

    text = capsys.readouterr().out
    assert "A  ours.json" in text
    assert "B against A" in text
    assert "C against A" in text
    assert "may count tokens by a tokenizer of its own" in text


def test_json_goes_to_stdout_alone(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*files, "--json", "--html", str(tmp_path / "page.html"))

    out, err = capsys.readouterr()
    assert json.loads(out)["schema"] == "replicore-compare/1"
    assert err == f"page: {tmp_path / 'page.html'}\n"


def test_html_is_written_with_its_folder(files: list[str], tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    run(*files, "--html", str(page))

    assert page.read_text().startswith("<!doctype html>")


def test_a_single_run_cannot_be_compared(files: list[str]) -> None:
    with pytest.raises(ConfigError, match="holds 1 of the two runs that a comparison needs"):
        run(files[0])


def test_a_page_that_cannot_be_written_is_told(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(ConfigError, match="cannot be written"):
        run(*files, "--html", str(tmp_path / "taken" / "page.html"))
