"""Making an artefact so that nothing half-written is ever taken for one.

Whoever calls these holds the artefact's lock exclusively, but for :func:`finish_in_place`. A
compile works in a folder of its own beside the artefacts; what it made is checked, described and
forced to disk there, and only then gets its name, by one rename. Where a replica makes the artefact
by starting it is made under its name from the first, because such caches hold absolute paths, and
only the manifest tells that it is finished.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from replicore import __version__
from replicore.artefacts.digest import digest
from replicore.artefacts.files import output_problems
from replicore.artefacts.manifest import FileRecord, Manifest, write_manifest
from replicore.artefacts.store import Entry, Store
from replicore.engines.recipe import Recipe
from replicore.errors import ArtefactError


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """Where one compile works.

    Attributes:
        artefact: What it makes; becomes the artefact's folder.
        work: Its own, for anything else; it may delete it.
    """

    artefact: Path
    work: Path


@contextmanager
def building(store: Store, name: str) -> Iterator[Building]:
    """Yield empty folders to compile in; nothing is left of them afterwards, whatever happens.

    Raises:
        ArtefactError: They cannot be made.
    """
    folder = store.building(name)
    with writable(store):
        sweep(store, name)
        made = Building(artefact=folder / "artefact", work=folder / "work")
        made.artefact.mkdir(parents=True)
        made.work.mkdir()
    try:
        yield made
    finally:
        sweep(store, name)


def publish(
    store: Store,
    recipe: Recipe,
    made: Building,
    files: Iterable[FileRecord],
    *,
    seconds: float | None = None,
    adopted_from: Path | None = None,
) -> Entry:
    """Describe what was made and give it its name; one of that name is replaced.

    Args:
        files: What it needs, as :func:`record_file` returns it.

    Raises:
        ArtefactError: It cannot be written.
    """
    name = digest(recipe.fields)
    manifest = _describe(recipe, files, seconds=seconds, adopted_from=adopted_from)
    with writable(store):
        write_manifest(made.artefact, manifest)
        _sync_folders(made.artefact)
        _replace(made.artefact, store.path(name), aside=made.artefact.with_name("replaced"))
    return store.entry(name)


def finish_in_place(store: Store, recipe: Recipe, *, seconds: float | None = None) -> Entry:
    """Describe a cache that a replica has filled by starting.

    Its files are not recorded: it goes on changing, and the engine itself sees to what is in it.

    Raises:
        ArtefactError: Nothing is in it, or it cannot be written.
    """
    name = digest(recipe.fields)
    folder = store.path(name)
    missing = [one for one in recipe.outputs if next(folder.glob(one), None) is None]
    if missing:
        raise ArtefactError(f"a replica started and left nothing in {folder}: {', '.join(missing)}")
    with writable(store):
        write_manifest(folder, _describe(recipe, (), seconds=seconds))
    return store.entry(name)


def check_outputs(store: Store, folder: Path, recipe: Recipe, *, log: Path) -> None:
    """Check that a compile made what it was to make.

    Args:
        log: What it printed, for the hint.

    Raises:
        ArtefactError: Something is missing or cut off.
    """
    with writable(store):
        problems = output_problems(folder, recipe.outputs)
    if problems:
        raise ArtefactError(
            f"the compile did not make a whole artefact: {'; '.join(problems)}",
            hint=f"its whole log is {log}",
        )


def sweep(store: Store, name: str) -> None:
    """Remove what an aborted compile has left."""
    shutil.rmtree(store.building(name), ignore_errors=True)


def remove(store: Store, name: str) -> None:
    """Remove an artefact and what is left of its compiles; a half-removed one is none.

    Raises:
        ArtefactError: It cannot be removed.
    """
    folder = store.building(name)
    with writable(store):
        sweep(store, name)
        if store.path(name).exists():
            folder.mkdir(parents=True)
            store.path(name).rename(folder / "removed")
            shutil.rmtree(folder)
        for log in store.logs.glob(f"{name}.*"):
            log.unlink(missing_ok=True)


def _describe(
    recipe: Recipe,
    files: Iterable[FileRecord],
    *,
    seconds: float | None,
    adopted_from: Path | None = None,
) -> Manifest:
    return Manifest(
        digest=digest(recipe.fields),
        fields=dict(recipe.fields),
        files=tuple(files),
        made_at=datetime.now(UTC).replace(microsecond=0),
        made_by=f"replicore {__version__}",
        seconds=seconds,
        adopted_from=None if adopted_from is None else str(adopted_from),
    )


def _sync_folders(folder: Path) -> None:
    """Force the names of new files to disk; their content is there already."""
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync(path)


def _replace(folder: Path, target: Path, *, aside: Path) -> None:
    if target.exists():
        target.rename(aside)
    try:
        folder.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    _sync(target.parent)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def writable(store: Store) -> Iterator[None]:
    """Tell the user of a folder that is not writable, or has no space left; it is not a bug.

    Raises:
        ArtefactError: Instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise ArtefactError(
            f"the artefacts' folder {store.root} cannot be used: {error.strerror or error}",
            hint="`replicore artefacts gc` removes what is not used any more",
        ) from error
