"""The two files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from replicore.bench.llmperf.files import check_directory, encode, file_stem, write_files
from replicore.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        (
            "meta-llama/Llama-3.3-70B-Instruct_7936_256",
            "meta-llama-Llama-3-3-70B-Instruct_7936_256",
        ),
        ("/models/Llama-3.3-70B-Instruct/_7936_256", "-models-Llama-3-3-70B-Instruct-_7936_256"),
        ("a--b /_c", "a-b-_c"),
    ],
)
def test_stem_has_a_dash_for_every_run_of_other_characters(name: str, stem: str) -> None:
    assert file_stem(name) == stem


def test_files_are_written_where_missing_folders_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "results"
    summary, responses = write_files(folder, "m_1_2", {"a": 1}, [{"b": 2}], bare_nan=False)

    assert summary == folder / "m_1_2_summary.json"
    assert responses == folder / "m_1_2_individual_responses.json"
    assert summary.read_text() == '{\n    "a": 1\n}'
    assert json.loads(responses.read_text()) == [{"b": 2}]


def test_nan_is_bare_where_llmperf_writes_it_so_and_null_elsewhere() -> None:
    content = {"a": math.nan, "b": [{"c": math.nan}], "d": 1.5}

    assert b'"a": NaN' in encode(content, bare_nan=True)
    assert json.loads(encode(content, bare_nan=False)) == {"a": None, "b": [{"c": None}], "d": 1.5}


def test_results_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()

    with pytest.raises(ConfigError, match="is not a directory"):
        check_directory(place)


def test_directory_that_cannot_be_made_is_an_error_with_its_name(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()

    with pytest.raises(ConfigError, match=r"file/inside: cannot be written"):
        write_files(place / "inside", "m", {}, [], bare_nan=False)


def test_missing_or_unwanted_directory_is_accepted(tmp_path: Path) -> None:
    check_directory(tmp_path / "new")
    check_directory(None)
