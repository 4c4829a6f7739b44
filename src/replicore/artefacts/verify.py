"""Reading artefacts whole, to see whether they are still what was made."""

from __future__ import annotations

from replicore.artefacts.files import changed
from replicore.artefacts.lock import describe_holders, try_lock
from replicore.artefacts.store import State, Store


def verify(store: Store, name: str) -> list[str]:
    """Return what is wrong with an artefact, in sentences; nothing where it is as it was made.

    Raises:
        ArtefactError: The artefacts' folder cannot be used.
    """
    lock = try_lock(store.lock(name), exclusive=False)
    if lock is None:
        return [f"{store.path(name)} is being made by {describe_holders(store.lock(name))}"]
    with lock:
        entry = store.entry(name)
        if entry.manifest is None or entry.state is not State.COMPLETE:
            return [entry.problem]
        try:
            return list(changed(entry.path, entry.manifest.files, content=True))
        except OSError as error:
            return [f"{entry.path} cannot be read: {error.strerror}"]
