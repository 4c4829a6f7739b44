"""The folder of artefacts, and what is found in it.

::

    <root>/<digest>/                   an artefact
                    manifest.json      written last: without it, it is unfinished
    <root>/.building/<digest>/         a compile in progress, or what is left of one
    <root>/.locks/<digest>             who uses it, makes it or removes it (``lock.py``)
    <root>/logs/<digest>.1.log         what its compiles printed

Whatever dies when: a folder under its digest is whole, or says of itself that it is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from replicore.artefacts.files import changed
from replicore.artefacts.manifest import MANIFEST, Manifest, read_manifest
from replicore.errors import ArtefactError

_DIGEST = re.compile(r"[0-9a-f]{20}")


class State(Enum):
    """What is under a digest."""

    ABSENT = "absent"
    UNFINISHED = "unfinished"
    COMPLETE = "complete"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An artefact, or what is left of one, or would be one.

    Attributes:
        manifest: None where it has none that can be read.
        problem: Why it cannot be used, in a sentence; empty where it can.
        used_at: When it was used last, or first locked, in seconds since the epoch; None if never.
    """

    digest: str
    path: Path
    state: State
    manifest: Manifest | None = None
    problem: str = ""
    used_at: float | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What it was made of, as far as that is known."""
        return self.manifest.fields if self.manifest is not None else {}


class Store:
    """Artefacts of all models below one folder, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Return where an artefact is, or would be."""
        return self.root / digest

    def lock(self, digest: str) -> Path:
        """Return the file of its lock."""
        return self.root / ".locks" / digest

    @property
    def logs(self) -> Path:
        """Where compiles log to; files are named as those of a deployment's units are."""
        return self.root / "logs"

    def building(self, digest: str) -> Path:
        """Return where it is made."""
        return self.root / ".building" / digest

    def entries(self) -> list[Entry]:
        """Return what is under any digest, by digest.

        Raises:
            ArtefactError: The folder cannot be read.
        """
        return [self.entry(name) for name in _digests(self.root)]

    def leftovers(self) -> list[str]:
        """Return the digests of compiles that are in progress, or were aborted.

        Raises:
            ArtefactError: The folder cannot be read.
        """
        return _digests(self.root / ".building")

    def entry(self, digest: str) -> Entry:
        """Return what is under a digest now.

        Looks at the sizes of its files and not at their content: this is for every start.
        """
        state, manifest, problem = _look(self.path(digest))
        return Entry(
            digest=digest,
            path=self.path(digest),
            state=state,
            manifest=manifest,
            problem=problem,
            used_at=_changed_at(self.lock(digest)),
        )


def _look(path: Path) -> tuple[State, Manifest | None, str]:
    try:
        manifest = read_manifest(path)
        if manifest is None and not path.exists():
            return State.ABSENT, None, f"there is no {path}"
        if manifest is None:
            return State.UNFINISHED, None, f"{path} is unfinished: it has no {MANIFEST}"
        problems = list(changed(path, manifest.files))
    except ArtefactError as error:
        return State.UNREADABLE, None, error.message
    except OSError as error:
        return State.UNREADABLE, None, f"{path} cannot be read: {error.strerror}"
    if problems:
        return State.DAMAGED, manifest, f"{path} is damaged: {'; '.join(problems)}"
    return State.COMPLETE, manifest, ""


def _digests(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if _DIGEST.fullmatch(path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be read: {error.strerror}") from error


def _changed_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
