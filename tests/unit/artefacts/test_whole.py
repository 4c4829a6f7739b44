from __future__ import annotations

from pathlib import Path

import pytest

from replicore.artefacts.whole import why_not_whole
from tests.unit.artefacts.recipes import write_safetensors, write_torch


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    write_torch(path)
    return path


@pytest.fixture(name="weights")
def _weights(tmp_path: Path) -> Path:
    path = tmp_path / "tp0.safetensors"
    write_safetensors(path)
    return path


def test_file_that_is_written_to_its_end_is_whole(model: Path, weights: Path) -> None:
    assert why_not_whole(model) is None
    assert why_not_whole(weights) is None


@pytest.mark.parametrize("missing", [1, 50, 900])
def test_model_that_is_cut_off_is_not_whole(model: Path, missing: int) -> None:
    model.write_bytes(model.read_bytes()[:-missing])

    assert why_not_whole(model) == (
        "is cut off: the directory at the end of what torch writes is missing"
    )


def test_weights_that_are_cut_off_are_not_whole(weights: Path) -> None:
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes()[:-1])

    assert why_not_whole(weights) == f"is cut off: {size - 1} bytes of {size}"


@pytest.mark.parametrize("kept", [1, 7, 8, 20])
def test_weights_that_are_cut_off_in_the_header_are_not_whole(weights: Path, kept: int) -> None:
    weights.write_bytes(weights.read_bytes()[:kept])

    assert "safetensors header" in (why_not_whole(weights) or "")


@pytest.mark.parametrize(
    "header", [b"[]", b'{"w": 1}', b'{"w": {}}', b'{"w": {"data_offsets": 1}}']
)
def test_header_of_another_form_is_told_and_not_raised(weights: Path, header: bytes) -> None:
    weights.write_bytes(len(header).to_bytes(8, "little") + header)

    assert why_not_whole(weights) == "has a broken safetensors header"


def test_json_that_is_cut_off_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "neuron_config.json"
    path.write_text('{"tp_degree": 3')

    assert why_not_whole(path) == "is not whole JSON"


@pytest.mark.parametrize("name", ["model.pt", "x.safetensors", "x.json", "x.bin"])
def test_empty_file_is_never_whole(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()

    assert why_not_whole(tmp_path / name) == "is empty"


def test_file_of_an_unknown_form_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("anything")

    assert why_not_whole(tmp_path / "log") is None
