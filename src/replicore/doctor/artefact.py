"""Is what the replicas load there?"""

from __future__ import annotations

from collections.abc import Iterator

from replicore.deploy.provision import find_complete, recipe_of, store_of
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import ok, warning
from replicore.errors import ConfigError
from replicore.findings import Finding


def check_artefact(place: Place, case: Case) -> Iterator[Finding]:
    """Tell whether ``up`` finds what ``replicore compile`` makes."""
    if case.deployment is None:
        return
    try:
        recipe = recipe_of(case.deployment)
    except ConfigError:
        return  # the engine cannot be asked, which is a finding of its own
    if recipe is None:
        return
    entry = find_complete(store_of(case.spec), recipe)
    if entry is not None:
        yield ok("artefact", f"compiled: {entry.path}")
    elif recipe.required:
        yield warning(
            "artefact", "nothing is compiled for this deployment yet", "`replicore compile SPEC`"
        )
    else:
        text = "nothing is compiled yet, so the first start takes longer"
        yield ok("artefact", f"{text}; `replicore compile` does it ahead")
