"""The folders that the scripts have in variables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from replicore.render.service import Service

# Stand for folders that only the scripts know: their own, and those that compile.sh makes.
ROOT = Path("/folder-of-the-scripts")
PARTIAL = Path("/folder-that-the-compiler-writes")
WORK = Path("/folder-that-the-compiler-works-in")

# Stands for the search path of whoever runs the scripts.
SEARCH = "/search-path"


def paths_of(service: Service) -> Mapping[str, str]:
    """Return path by variable."""
    paths = {"PATH": SEARCH, "ROOT": str(ROOT), "MODEL": str(service.deployment.model.path)}
    if service.artefact is not None:
        paths["ARTEFACT"] = str(service.artefact)
    interpreter = Path(service.commands()[0].argv[0])
    if interpreter.is_absolute():
        paths["BIN"] = str(interpreter.parent)
    return paths
