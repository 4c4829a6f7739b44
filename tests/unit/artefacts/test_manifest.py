from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replicore.artefacts.manifest import (
    MANIFEST,
    FileRecord,
    Manifest,
    read_manifest,
    write_manifest,
)
from replicore.errors import ArtefactError

FILE = FileRecord(path="weights/tp0", size=7, xxh3="00")


def manifest() -> Manifest:
    return Manifest(
        digest="ab",
        fields={"layout.tp": 32, "engine.neuron.kernels": ["qkv"], "model.revision": None},
        files=(FILE, FileRecord(path="model.pt", size=3, xxh3="11")),
        made_at=datetime(2026, 11, 23, 17, tzinfo=UTC),
        made_by="replicore 1",
    )


def test_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest())

    assert read_manifest(tmp_path) == manifest()


@pytest.mark.parametrize("folder", ["", "missing", "file/below"])
def test_folder_without_a_manifest_has_none(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()

    assert read_manifest(tmp_path / folder) is None


def test_key_that_a_later_version_added_is_passed_over(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest())
    known = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**known, "later": {"x": 1}}))

    assert read_manifest(tmp_path) == manifest()


def test_manifest_of_an_earlier_version_lacks_keys_and_is_read(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest())
    known = json.loads((tmp_path / MANIFEST).read_text())
    for key in ("seconds", "adopted_from"):
        del known[key]
    (tmp_path / MANIFEST).write_text(json.dumps(known))

    assert read_manifest(tmp_path) == manifest()


def test_manifest_of_a_format_that_is_not_known_yet_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"format": 2, "digest": ["another", "form"]}')

    with pytest.raises(ArtefactError, match="format 2, which a later replicore wrote"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": "x"}'])
def test_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)

    with pytest.raises(ArtefactError, match="is no manifest"):
        read_manifest(tmp_path)


def test_manifest_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).mkdir()

    with pytest.raises(ArtefactError, match="cannot be read"):
        read_manifest(tmp_path)
