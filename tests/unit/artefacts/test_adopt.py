from __future__ import annotations

import os
from pathlib import Path

import pytest

from replicore.artefacts.adopt import adopt, taken_on_trust
from replicore.artefacts.digest import digest
from replicore.artefacts.lock import try_lock
from replicore.artefacts.store import State, Store
from replicore.artefacts.verify import verify
from replicore.engines.recipe import Value
from replicore.errors import ArtefactError
from tests.unit.artefacts.recipes import recipe, write_outputs

RECIPE = recipe({"layout.batch_size": 4})
NAME = digest(RECIPE.fields)
TOLD: dict[str, Value] = {"layout.tp": 32, "layout.batch_size": 4, "more": "than the recipe has"}


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "traced_model"
    write_outputs(folder)
    return folder


def test_folder_that_fits_becomes_an_artefact_and_stays(store: Store, folder: Path) -> None:
    entry = adopt(store, RECIPE, folder, TOLD)

    assert entry.state is State.COMPLETE
    assert entry.manifest is not None
    assert entry.manifest.adopted_from == str(folder)
    assert verify(store, NAME) == []
    assert (folder / "model.pt").exists()


def test_files_are_linked_and_not_copied(store: Store, folder: Path) -> None:
    adopt(store, RECIPE, folder, TOLD)

    assert (folder / "model.pt").stat().st_nlink == 2


def test_files_are_copied_where_links_do_not_reach(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("replicore.artefacts.adopt.os.link", refuse)

    assert adopt(store, RECIPE, folder, TOLD).state is State.COMPLETE
    assert (folder / "model.pt").stat().st_nlink == 1


def test_folder_that_was_compiled_otherwise_is_refused_with_each_difference(
    store: Store, folder: Path
) -> None:
    with pytest.raises(ArtefactError) as caught:
        adopt(store, RECIPE, folder, {**TOLD, "layout.tp": 64, "layout.batch_size": 1})

    assert caught.value.message.split("\n")[1:] == [
        "  layout.tp: made with 64, wanted 32",
        "  layout.batch_size: made with 1, wanted 4",
    ]
    assert store.entry(NAME).state is State.ABSENT


def test_aborted_compile_is_refused(store: Store, folder: Path) -> None:
    (folder / "model.pt").unlink()

    with pytest.raises(ArtefactError, match=r"is not a whole compile: model\.pt is missing"):
        adopt(store, RECIPE, folder, TOLD)


def test_truncated_compile_is_refused(store: Store, folder: Path) -> None:
    os.truncate(folder / "model.pt", 100)

    with pytest.raises(ArtefactError, match=r"model\.pt is cut off"):
        adopt(store, RECIPE, folder, TOLD)


def test_folder_that_is_not_there_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="is not a whole compile"):
        adopt(store, RECIPE, tmp_path / "no such folder", TOLD)


def test_artefact_in_use_is_not_replaced(store: Store, folder: Path) -> None:
    lock = try_lock(store.lock(NAME), exclusive=False)
    assert lock is not None
    with lock, pytest.raises(ArtefactError, match="is in use by pid"):
        adopt(store, RECIPE, folder, TOLD)


def test_what_a_folder_does_not_tell_is_named() -> None:
    assert taken_on_trust(RECIPE, TOLD) == ["model.source"]


def test_what_a_symbolic_link_names_is_taken_over_and_not_the_link(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "weights of a larger disk"
    (folder / "weights").rename(elsewhere)
    (folder / "weights").mkdir()
    for weights in elsewhere.iterdir():
        (folder / "weights" / weights.name).symlink_to(f"../../{elsewhere.name}/{weights.name}")
    entry = adopt(store, RECIPE, folder, TOLD)

    assert entry.manifest is not None
    assert [file.path for file in entry.manifest.files if "weights" in file.path] == [
        "weights/tp0_sharded_checkpoint.safetensors",
        "weights/tp1_sharded_checkpoint.safetensors",
    ]
    assert not any(path.is_symlink() for path in entry.path.rglob("*"))


def test_folder_that_has_the_artefacts_in_it_is_refused(folder: Path) -> None:
    with pytest.raises(ArtefactError, match=r"is in .*traced_model itself") as caught:
        adopt(Store(folder), RECIPE, folder, TOLD)

    assert "engine.neuron.artefacts" in (caught.value.hint or "")
    assert not (folder / ".building").exists()


def test_file_that_cannot_be_taken_over_is_named(store: Store, folder: Path) -> None:
    (folder / "notes.txt").symlink_to(folder / "long gone")

    with pytest.raises(ArtefactError, match=r"traced_model cannot be taken over: .*notes\.txt"):
        adopt(store, RECIPE, folder, TOLD)
    assert store.leftovers() == []
