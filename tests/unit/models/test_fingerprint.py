from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from replicore.errors import ModelError
from replicore.models.fingerprint import fingerprint
from replicore.models.shape import Model, ModelShape

MIB = 2**20
SHAPE = ModelShape(
    architecture="llama",
    layers=1,
    hidden=8,
    heads=1,
    kv_heads=1,
    head_dim=8,
    vocab=16,
    max_model_len=64,
    weight_bytes=MIB,
    file_format="safetensors",
)


def model(path: Path) -> Model:
    return Model(source=str(path), served_name="m", path=path, shape=SHAPE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(MIB))
    return tmp_path


def test_copy_of_a_folder_has_the_same_fingerprint(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((folder / name).read_bytes())
    (copy / "README.md").write_text("not a part of the model")

    assert fingerprint(model(copy)) == fingerprint(model(folder))


@pytest.mark.parametrize("offset", [0, MIB // 2, MIB - 1])
def test_other_weights_of_the_same_size_have_another(folder: Path, offset: int) -> None:
    before = fingerprint(model(folder))
    weights = bytearray(MIB)
    weights[offset] = 1
    (folder / "model.safetensors").write_bytes(weights)

    assert fingerprint(model(folder)) != before


def test_another_config_has_another(folder: Path) -> None:
    before = fingerprint(model(folder))
    (folder / "config.json").write_text('{"rope_theta": 1}')

    assert fingerprint(model(folder)) != before


def test_single_file_has_one(folder: Path) -> None:
    assert fingerprint(model(folder / "model.safetensors")) is not None


def test_model_that_is_known_otherwise_has_none(folder: Path) -> None:
    of_hub = dataclasses.replace(model(folder), revision="6f6073b")
    outlined = dataclasses.replace(model(folder), sizes_from="the catalogue")

    assert fingerprint(of_hub) is fingerprint(outlined) is None
    assert fingerprint(model(folder / "elsewhere")) is None


def test_folder_without_config_cannot_be_read(folder: Path) -> None:
    (folder / "config.json").unlink()

    with pytest.raises(ModelError, match="cannot be read: No such file"):
        fingerprint(model(folder))
