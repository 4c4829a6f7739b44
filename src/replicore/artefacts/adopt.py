"""Taking over what somebody compiled without us, such as the tutorial's folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from replicore.artefacts.building import building, publish, writable
from replicore.artefacts.digest import digest
from replicore.artefacts.files import files_to_record, output_problems, record_file
from replicore.artefacts.lock import describe_holders, try_lock
from replicore.artefacts.match import differences
from replicore.artefacts.store import Entry, Store
from replicore.engines.recipe import Recipe, Value
from replicore.errors import ArtefactError


def adopt(store: Store, recipe: Recipe, folder: Path, told: Mapping[str, Value]) -> Entry:
    """Return the artefact made of a folder; the folder stays as it is.

    Files are linked where they can be, so that it takes no space, and copied elsewhere.

    Args:
        told: What the folder says of itself, by the names of the recipe's fields. What it does not
            say is taken for what the recipe has.

    Raises:
        ArtefactError: It is not whole, was compiled otherwise, is in use, has the artefacts in it,
            or cannot be written.
    """
    check(recipe, folder, told)
    if store.root.resolve().is_relative_to(folder.resolve()):
        raise ArtefactError(
            f"the artefacts' folder {store.root} is in {folder} itself",
            hint="set engine.neuron.artefacts to another folder, or leave it out",
        )
    name = digest(recipe.fields)
    lock = try_lock(store.lock(name), exclusive=True)
    if lock is None:
        holders = describe_holders(store.lock(name))
        raise ArtefactError(f"the artefact {store.path(name)} is in use by {holders}")
    with lock, building(store, name) as made:
        with writable(store):
            _take(folder, made.artefact)
            paths = files_to_record(made.artefact, recipe.outputs)
            files = [record_file(made.artefact, path) for path in paths]
        return publish(store, recipe, made, files, adopted_from=folder)


def check(recipe: Recipe, folder: Path, told: Mapping[str, Value]) -> None:
    """Check that a folder is what the recipe would have made, as far as it tells.

    Raises:
        ArtefactError: It is not whole, or was compiled otherwise; every difference is named.
    """
    wanted = {name: value for name, value in recipe.fields.items() if name in told}
    differing = differences({name: told[name] for name in wanted}, wanted)
    if differing:
        lines = [f"{folder} was not compiled for this spec:", *(f"  {one}" for one in differing)]
        raise ArtefactError("\n".join(lines), hint="set the spec as it was compiled, or compile")
    try:
        problems = output_problems(folder, recipe.outputs)
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be read: {error.strerror}") from error
    if problems:
        raise ArtefactError(f"{folder} is not a whole compile: {'; '.join(problems)}")


def taken_on_trust(recipe: Recipe, told: Mapping[str, Value]) -> list[str]:
    """Return the names of the fields that a folder does not tell."""
    return [name for name in recipe.fields if name not in told]


def _take(folder: Path, target: Path) -> None:
    try:
        shutil.copytree(folder, target, copy_function=_link, dirs_exist_ok=True)
    except shutil.Error as error:
        _, _, reason = error.args[0][0]  # of the first file that is not there now
        raise ArtefactError(f"{folder} cannot be taken over: {reason}") from error


def _link(source: str, target: str) -> None:
    try:
        os.link(os.path.realpath(source), target)  # of a symbolic link: what it names
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
