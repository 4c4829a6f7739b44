"""Recipes and artefacts for tests."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from replicore.artefacts.building import building, publish
from replicore.artefacts.digest import digest
from replicore.artefacts.files import files_to_record, record_file
from replicore.artefacts.store import Entry, Store
from replicore.engines.recipe import Recipe, Value

OUTPUTS = ("model.pt", "neuron_config.json", "weights/*.safetensors")


def recipe(fields: Mapping[str, Value] | None = None, *outputs: str) -> Recipe:
    """Return a recipe with these fields and others."""
    named: dict[str, Value] = {"model.source": "org/name", "layout.tp": 32, **(fields or {})}
    return Recipe(fields=named, required=True, outputs=outputs or OUTPUTS)


def write_outputs(folder: Path) -> None:
    """Write what NxD Inference writes, small and whole."""
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    (folder / "neuron_config.json").write_text(json.dumps({"tp_degree": 32}))
    write_torch(folder / "model.pt")
    for rank in range(2):
        write_safetensors(folder / "weights" / f"tp{rank}_sharded_checkpoint.safetensors")


def write_torch(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", b"0" * 1000)


def write_safetensors(path: Path, *, data: bytes = b"\0" * 16) -> None:
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, "__metadata__": {"a": "b"}}
    ).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def make(store: Store, of: Recipe) -> Entry:
    """Make an artefact as a compile does."""
    with building(store, digest(of.fields)) as made:
        write_outputs(made.artefact)
        paths = files_to_record(made.artefact, of.outputs)
        files = [record_file(made.artefact, path) for path in paths]
        return publish(store, of, made, files, seconds=1.0)
