from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from replicore.artefacts.manifest import MANIFEST
from replicore.artefacts.refusal import refusal
from replicore.artefacts.store import Store
from replicore.engines.recipe import Value
from tests.unit.artefacts.recipes import make, recipe

MAKES = "`replicore compile SPEC`, or `replicore up --compile`, makes it"
WANTED = recipe({"layout.tp": 32, "layout.batch_size": 4, "neuronx-cc": "2.20"})


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def made_with(store: Store, fields: Mapping[str, Value]) -> Path:
    """Make an artefact that differs from what is wanted."""
    return make(store, recipe({**WANTED.fields, **fields})).path


def test_empty_store_is_told_as_that(store: Store) -> None:
    error = refusal(store, WANTED)

    assert error.message == f"nothing has been compiled for this spec in {store.root}"
    assert error.hint == MAKES


def test_nearest_artefact_is_told_with_each_field_that_differs_and_both_ways_out(
    store: Store,
) -> None:
    made_with(store, {"layout.tp": 8, "layout.batch_size": 1})
    made_with(store, {"model.source": "org/other"})
    path = made_with(store, {"layout.tp": 16})
    head, *lines = refusal(store, WANTED).message.split("\n")

    assert head == (
        f"nothing has been compiled for this spec; what comes nearest, {path}, differs:"
    )
    assert lines == ["  layout.tp: made with 16, wanted 32"]
    assert refusal(store, WANTED).hint == f"{MAKES}; or take what is there, with layout.tp = 16"


def test_all_fields_that_differ_are_told(store: Store) -> None:
    made_with(store, {"layout.tp": 16, "layout.batch_size": 1})

    assert "layout.tp = 16, layout.batch_size = 1" in (refusal(store, WANTED).hint or "")
    assert len(refusal(store, WANTED).message.split("\n")) == 3


@pytest.mark.parametrize("other", [{"neuronx-cc": "2.19"}, {"model.source": "org/other"}])
def test_what_no_key_of_the_spec_brings_back_has_one_way_out(
    store: Store, other: dict[str, Value]
) -> None:
    made_with(store, other)

    assert refusal(store, WANTED).hint == MAKES


def test_artefact_that_an_older_program_described_by_less_can_be_taken_for_it(
    store: Store,
) -> None:
    older = make(store, recipe({"layout.batch_size": 4}))
    error = refusal(store, WANTED)

    assert 'neuronx-cc: made with nothing, wanted "2.20"' in error.message
    assert f"`replicore artefacts adopt {older.path} SPEC`" in (error.hint or "")


def test_damaged_artefact_is_told_as_that_and_not_as_missing(store: Store) -> None:
    os.truncate(make(store, WANTED).path / "model.pt", 10)
    error = refusal(store, WANTED)

    assert "is damaged: model.pt has 10 bytes" in error.message
    assert error.hint == "`replicore compile SPEC` makes it anew"


def test_artefact_of_a_later_program_is_not_made_anew_unasked(store: Store) -> None:
    (make(store, WANTED).path / MANIFEST).write_text('{"format": 2}')

    assert refusal(store, WANTED).hint == "`replicore compile --force` makes it anew"


def test_damaged_artefact_is_never_the_nearest(store: Store) -> None:
    os.truncate(made_with(store, {"layout.tp": 16}) / "model.pt", 10)

    assert "what comes nearest" not in refusal(store, WANTED).message


def test_compiled_folder_in_place_of_the_store_is_told_with_what_takes_it_over(
    store: Store,
) -> None:
    (store.root / "neuron_config.json").write_text("{}")
    error = refusal(store, WANTED)

    assert error.message.endswith("is a compiled model itself, not a folder of artefacts")
    assert f"`replicore artefacts adopt {store.root} SPEC`" in (error.hint or "")


def test_artefact_whose_manifest_was_changed_is_told_as_that(store: Store) -> None:
    made = make(store, WANTED).path / MANIFEST
    made.write_text(made.read_text().replace('"org/name"', '"org/other"'))
    error = refusal(store, WANTED)

    assert error.message.startswith(f"{made} has other fields than ")
    assert error.hint == "`replicore compile SPEC` makes it anew"
