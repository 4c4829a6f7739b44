"""Which layouts can be deployed here, and deploying one, compiled first where that is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from replicore.bench.sweep.plan import SweptLayout
from replicore.bench.sweep.serving import Served, Serving
from replicore.deploy.compile import Compile, lay_out_to_compile
from replicore.deploy.making import Watch
from replicore.deploy.private import private
from replicore.deploy.provision import recipe_of
from replicore.errors import ArtefactError, InfeasiblePlan
from replicore.planner.plan import Outcome
from replicore.spec import Spec
from replicore.tune.layouts import swept

_PREFIX = "tune-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployable:
    """What can be deployed of a plan's layouts.

    Attributes:
        outcomes: In the plan's order.
        uncompiled: Sizes of those that would have to be compiled first.
    """

    outcomes: tuple[Outcome, ...]
    uncompiled: tuple[str, ...]


def tuned_spec(spec: Spec) -> Spec:
    """Return the spec with a name of its own, a private door, and replicas and tp left open."""
    layout = spec.layout.model_copy(update={"replicas": "auto", "tp": "auto"})
    return private(spec, _PREFIX).model_copy(update={"layout": layout})


def deployable(serving: Serving, outcomes: Iterable[Outcome], *, compiling: bool) -> Deployable:
    """Return which layouts this machine can hold, and has what they start from.

    Args:
        compiling: Whether what is missing will be compiled.
    """
    held = [one for one in outcomes if one.service is not None and _fits(serving, swept(one))]
    missing = [] if compiling else [one for one in held if not _compiled(serving, swept(one))]
    return Deployable(
        outcomes=tuple(one for one in held if one not in missing),
        uncompiled=tuple(one.size for one in missing),
    )


def _fits(serving: Serving, layout: SweptLayout) -> bool:
    try:
        serving.check(layout)
    except InfeasiblePlan:
        return False
    return True


def _compiled(serving: Serving, layout: SweptLayout) -> bool:
    try:
        serving.check_compiled(layout)
    except ArtefactError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class CompilingFirst:
    """Deploys a layout after what it needs was compiled.

    Attributes:
        root: Folder of all deployments.
        watch: Is told how compiling goes.
    """

    serving: Serving
    root: Path
    watch: Watch

    @asynccontextmanager
    async def serve(self, layout: SweptLayout) -> AsyncIterator[Served]:
        """As :meth:`Serving.serve`.

        Raises:
            ArtefactError: It could not be compiled.
        """
        deployment = lay_out_to_compile(self.serving.prepared_for(layout), self.root)
        if recipe_of(deployment) is not None:
            await Compile(deployment, self.root, self.watch).run()
        async with self.serving.serve(layout) as served:
            yield served
