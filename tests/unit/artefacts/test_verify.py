from __future__ import annotations

from pathlib import Path

import pytest

from replicore.artefacts.digest import digest
from replicore.artefacts.lock import try_lock
from replicore.artefacts.store import Store
from replicore.artefacts.verify import verify
from tests.unit.artefacts.recipes import make, recipe

NAME = digest(recipe().fields)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    make(store, recipe())
    return store


def test_artefact_that_is_as_it_was_made_has_no_problem(store: Store) -> None:
    assert verify(store, NAME) == []


def test_one_wrong_bit_is_found(store: Store) -> None:
    model = store.path(NAME) / "model.pt"
    content = bytearray(model.read_bytes())
    content[500] ^= 1
    model.write_bytes(content)

    assert verify(store, NAME) == ["model.pt has other content than it had"]


def test_missing_file_is_found(store: Store) -> None:
    (store.path(NAME) / "model.pt").unlink()

    assert verify(store, NAME) == [f"{store.path(NAME)} is damaged: model.pt is missing"]


def test_artefact_that_is_not_there_is_a_problem(store: Store) -> None:
    assert verify(store, "0" * 20) == [f"there is no {store.path('0' * 20)}"]


def test_artefact_that_is_being_made_is_not_read(store: Store) -> None:
    lock = try_lock(store.lock(NAME), exclusive=True)
    assert lock is not None
    with lock:
        (problem,) = verify(store, NAME)

    assert "is being made by pid" in problem
