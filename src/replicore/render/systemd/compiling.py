"""The service that compiles the model, once."""

from __future__ import annotations

import math
import shlex

from replicore.engines.recipe import Recipe
from replicore.render.service import Service
from replicore.render.systemd.replicas import ACCOUNT, limits, process
from replicore.render.systemd.text import Section, command_line


def compile_section(service: Service) -> dict[str, Section] | None:
    """Return the unit; None where nothing is compiled before replicas start.

    The compiled model appears under its name when it is whole, and with it the unit's condition
    is no longer met.
    """
    recipe, artefact = service.recipe, service.artefact
    if recipe is None or artefact is None:
        return None
    partial, work = artefact.with_suffix(".partial"), service.folder / "compile"
    command = service.compile_command(partial, work)
    if command is None:
        return None
    folders = [str(partial), str(work)]
    return {
        "Unit": [
            ("Description", f"Compile the model of {service.name}"),
            ("ConditionPathExists", f"!{artefact}"),
        ],
        "Service": [
            ("Type", "oneshot"),
            ("User", ACCOUNT),
            ("StateDirectory", f"replicore/{service.name}"),
            ("WorkingDirectory", str(service.folder)),
            ("ExecStartPre", command_line(["/bin/rm", "-rf", *folders])),
            ("ExecStartPre", command_line(["/bin/mkdir", "-p", *folders])),
            *process(command),
            ("ExecStart", command_line(["/bin/sh", "-c", _check(recipe, str(partial))])),
            ("ExecStart", command_line(["/bin/mv", "-T", str(partial), str(artefact)])),
            ("ExecStopPost", command_line(["/bin/rm", "-rf", *folders])),
            ("TimeoutStartSec", f"{math.ceil(recipe.timeout_s)}s"),
            *limits(),
        ],
    }


def _check(recipe: Recipe, folder: str) -> str:
    """Return a script that fails where an output is missing or empty."""
    patterns = " ".join(recipe.outputs)
    return f"cd {shlex.quote(folder)} && for file in {patterns}; do test -s $file || exit 1; done"
