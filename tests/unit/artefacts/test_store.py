from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replicore.artefacts.building import building, finish_in_place, publish, remove
from replicore.artefacts.digest import digest
from replicore.artefacts.manifest import MANIFEST
from replicore.artefacts.store import State, Store
from replicore.errors import ArtefactError
from tests.unit.artefacts.recipes import make, recipe, write_outputs

RECIPE = recipe()
NAME = digest(RECIPE.fields)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: what a full disk is to a writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_store_that_is_not_there_yet_is_empty(store: Store) -> None:
    assert store.entries() == []
    assert store.entry(NAME).state is State.ABSENT


def test_artefact_is_found_whole_with_what_it_was_made_of(store: Store) -> None:
    made = make(store, RECIPE)

    assert (made.state, made.problem) == (State.COMPLETE, "")
    assert made.fields == RECIPE.fields
    assert made.manifest is not None
    assert [file.path for file in made.manifest.files] == [
        "model.pt",
        "neuron_config.json",
        "weights/tp0_sharded_checkpoint.safetensors",
        "weights/tp1_sharded_checkpoint.safetensors",
    ]
    assert store.entries() == [made]
    assert store.leftovers() == []


def test_compile_that_fails_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with building(store, NAME) as made:
            write_outputs(made.artefact)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.entry(NAME).state is State.ABSENT
    assert store.leftovers() == []


def test_folders_of_a_compile_that_was_killed_are_emptied_for_the_next(store: Store) -> None:
    half = store.building(NAME) / "artefact" / "half"
    half.mkdir(parents=True)
    assert store.leftovers() == [NAME]
    assert store.entry(NAME).state is State.ABSENT

    with building(store, NAME) as made:
        assert list(made.artefact.iterdir()) == list(made.work.iterdir()) == []


def test_artefact_is_replaced_as_a_whole(store: Store) -> None:
    make(store, RECIPE)
    (store.path(NAME) / "of the old one").touch()
    again = make(store, RECIPE)

    assert again.state is State.COMPLETE
    assert not (again.path / "of the old one").exists()


def test_folder_without_a_manifest_is_unfinished(store: Store) -> None:
    write_outputs(store.path(NAME))

    assert store.entry(NAME).state is State.UNFINISHED
    assert store.entry(NAME).problem.endswith("is unfinished: it has no manifest.json")


def test_truncated_model_is_damage_and_told_with_its_sizes(store: Store) -> None:
    model = make(store, RECIPE).path / "model.pt"
    size = model.stat().st_size
    os.truncate(model, size - 1)
    entry = store.entry(NAME)

    assert entry.state is State.DAMAGED
    assert f"is damaged: model.pt has {size - 1} bytes, it had {size}" in entry.problem


def test_missing_weights_are_damage(store: Store) -> None:
    made = make(store, RECIPE)
    (made.path / "weights" / "tp1_sharded_checkpoint.safetensors").unlink()

    assert "tp1_sharded_checkpoint.safetensors is missing" in store.entry(NAME).problem


def test_file_that_an_engine_adds_at_its_start_is_no_damage(store: Store) -> None:
    made = make(store, RECIPE)
    (made.path / "tokenizer.json").write_text("{}")

    assert store.entry(NAME).state is State.COMPLETE


def test_manifest_of_a_later_version_is_unreadable_and_not_damaged(store: Store) -> None:
    made = make(store, RECIPE)
    (made.path / MANIFEST).write_text('{"format": 99}')

    assert store.entry(NAME).state is State.UNREADABLE


def test_cache_is_an_artefact_once_it_is_finished_and_goes_on_changing(store: Store) -> None:
    cache = recipe({}, "neuron/*")
    graph = store.path(digest(cache.fields)) / "neuron" / "graph"
    graph.mkdir(parents=True)
    (graph / "part").write_text("x")
    assert store.entry(digest(cache.fields)).state is State.UNFINISHED

    finish_in_place(store, cache, seconds=2.0)
    (graph / "part").unlink()
    assert store.entry(digest(cache.fields)).state is State.COMPLETE


def test_cache_that_is_empty_is_not_finished(store: Store) -> None:
    store.path(NAME).mkdir(parents=True)

    with pytest.raises(ArtefactError, match=r"left nothing in .*: neuron/\*"):
        finish_in_place(store, recipe({}, "neuron/*"))
    assert store.entry(NAME).state is State.UNFINISHED


def test_artefact_is_removed_with_its_logs_and_leftovers(store: Store) -> None:
    make(store, RECIPE)
    store.logs.mkdir()
    (store.logs / f"{NAME}.1.log").touch()
    store.building(NAME).mkdir(parents=True)
    remove(store, NAME)

    assert store.entries() == []
    assert store.leftovers() == []
    assert list(store.logs.iterdir()) == []


def test_half_removed_artefact_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    make(store, RECIPE)
    monkeypatch.setattr("replicore.artefacts.building.shutil.rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        remove(store, NAME)
    monkeypatch.undo()

    assert store.entry(NAME).state is State.ABSENT
    assert store.leftovers() == [NAME]


def interrupt(folder: Path, *, ignore_errors: bool = False) -> None:
    if not ignore_errors:
        raise KeyboardInterrupt


def test_old_artefact_comes_back_if_the_new_one_cannot_take_its_place(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store, RECIPE)
    rename = Path.rename

    def refuse_the_new_one(path: Path, target: Path) -> Path:
        if path.name == "artefact":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new_one)
    with pytest.raises(ArtefactError, match="Input/output error"):
        make(store, RECIPE)

    assert store.entry(NAME).state is State.COMPLETE


def test_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "store").touch()

    with (
        pytest.raises(ArtefactError, match=r"the artefacts' folder .* cannot be used: Not a"),
        building(Store(tmp_path / "store"), NAME),
    ):
        pass


def test_manifest_that_finds_the_disk_full_leaves_no_artefact(store: Store) -> None:
    def make_on_a_full_disk() -> None:
        with building(store, NAME) as made:
            write_outputs(made.artefact)
            with files_limited_to(100):
                publish(store, RECIPE, made, [])

    with pytest.raises(ArtefactError, match="cannot be used: File too large"):
        make_on_a_full_disk()
    assert store.entry(NAME).state is State.ABSENT
    assert store.leftovers() == []
