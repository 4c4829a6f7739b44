"""The artefact that the replicas of a deployment start from, kept for as long as they run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from replicore.artefacts.building import finish_in_place
from replicore.artefacts.digest import digest
from replicore.artefacts.lock import Lock, describe_holders, try_lock
from replicore.artefacts.manifest import MANIFEST
from replicore.artefacts.match import differences
from replicore.artefacts.refusal import refusal
from replicore.artefacts.store import Entry, State, Store
from replicore.deploy.deployment import Deployment
from replicore.engines.recipe import Recipe, Value
from replicore.errors import ArtefactError
from replicore.files import cache_folder
from replicore.spec import Spec

_log = logging.getLogger(__name__)


class Provision:
    """The artefact that replicas are started with, and the right to use it until :meth:`close`.

    Args:
        recipe: None where the engine has none; then there is nothing to hold.
        path: Given to the replicas; None gives them nothing.
    """

    def __init__(
        self,
        store: Store,
        recipe: Recipe | None = None,
        *,
        path: Path | None = None,
        lock: Lock | None = None,
    ) -> None:
        self.path = path
        self._store = store
        self._recipe = recipe
        self._lock = lock

    def finish(self) -> None:
        """Note that replicas have started with it: a cache that was empty is an artefact now."""
        if self._recipe is None or self.path is None:
            return
        try:
            if not (self.path / MANIFEST).exists():
                finish_in_place(self._store, self._recipe)
        except ArtefactError as error:
            _log.warning("%s; the next start is as slow as this one", error.message)
        entry = self._store.entry(self.path.name)
        if entry.state is State.DAMAGED:
            # NxD Inference compiles into the folder when it cannot load what is there.
            _log.warning("a replica has changed what it was to load: %s", entry.problem)

    def close(self) -> None:
        """Let others remove or replace it."""
        if self._lock is not None:
            self._lock.close()


def store_of(spec: Spec) -> Store:
    """Return where the artefacts of a spec are."""
    return Store(spec.engine.neuron.artefacts or cache_folder() / "artefacts")


def recipe_of(deployment: Deployment) -> Recipe | None:
    """Return the recipe that all replicas have in common; None where nothing is compiled.

    Raises:
        ConfigError: The engine cannot be asked what it needs.
    """
    return deployment.engine.recipe(deployment.plan(0, port=0), deployment.machine)


def provide(deployment: Deployment) -> Provision:
    """Return what the replicas are given.

    Raises:
        ArtefactError: They need an artefact that is not there, not whole, or just being made.
        ConfigError: The engine cannot be asked what it needs.
    """
    store, recipe = store_of(deployment.spec), recipe_of(deployment)
    if recipe is None:
        return Provision(store)
    name = digest(recipe.fields)
    lock = try_lock(store.lock(name), exclusive=False)
    if lock is None:
        raise ArtefactError(
            f"the artefact {store.path(name)} is being made by "
            f"{describe_holders(store.lock(name))}",
            hint="`replicore up --compile` waits for it",
        )
    try:
        path = _path(store, recipe)
        lock.touch()
        return Provision(store, recipe, path=path, lock=lock)
    except BaseException:
        lock.close()
        raise


def check_provided(deployment: Deployment) -> None:
    """Check that the replicas have the artefact without which they cannot start.

    Raises:
        ArtefactError: It is not there, or not whole.
        ConfigError: The engine cannot be asked what it needs.
    """
    store, recipe = store_of(deployment.spec), recipe_of(deployment)
    if recipe is not None and recipe.required and find_complete(store, recipe) is None:
        raise refusal(store, recipe)


def compiled_fields(deployment: Deployment) -> Mapping[str, Value] | None:
    """Return what the artefact that replicas would load was made of; None where there is none.

    Raises:
        ConfigError: The engine cannot be asked what it needs.
    """
    recipe = recipe_of(deployment)
    entry = find_complete(store_of(deployment.spec), recipe) if recipe is not None else None
    return entry.fields if entry is not None else None


def find_complete(store: Store, recipe: Recipe) -> Entry | None:
    """Return the artefact of a recipe, if it is there and whole."""
    entry = store.entry(digest(recipe.fields))
    is_it = entry.state is State.COMPLETE and not differences(entry.fields, recipe.fields)
    return entry if is_it else None


def _path(store: Store, recipe: Recipe) -> Path | None:
    entry = find_complete(store, recipe)
    if entry is not None:
        return entry.path
    if recipe.required:
        raise refusal(store, recipe)
    return _cache(store.entry(digest(recipe.fields)))


def _cache(entry: Entry) -> Path | None:
    """Return a folder for replicas to fill; None where it cannot be written, or is not ours."""
    if entry.state is State.UNREADABLE:
        _log.warning("%s; replicas start without it", entry.problem)
        return None
    folder = entry.path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)  # it speaks of files that are not there
    except OSError as error:
        _log.warning("%s cannot be used: %s", folder, error.strerror)
        return None
    return folder
