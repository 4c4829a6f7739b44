"""The layouts of a sweep, deployed one after the other, each gone before the next.

What is deployed is what ``replicore up`` deploys, gateway included, but for the door: any free port
on loopback, without keys or TLS.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from replicore.bench.sweep.candidates import choose_layouts
from replicore.bench.sweep.plan import SweptLayout
from replicore.cores import CoreRange
from replicore.deploy.deployment import Prepared, lay_out, lay_out_and_claim
from replicore.deploy.private import private
from replicore.deploy.provision import check_provided
from replicore.deploy.state import Claims
from replicore.deploy.supervisor import Supervisor, running
from replicore.errors import ArtefactError, InfeasiblePlan
from replicore.spec import Spec

_PREFIX = "sweep-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A layout that serves.

    Attributes:
        url: Of its gateway, without ``/v1``.
        cores: Core range of each replica.
        slots: Requests that it works on at the same time, over all replicas.
        ready_s: From its start until every replica served.
        wait_ready: Returns once every replica serves again, and raises what says why none will.
        starts: Returns how often its replicas have been started.
    """

    url: str
    cores: tuple[str, ...]
    slots: int
    ready_s: float
    wait_ready: Callable[[], Awaitable[None]]
    starts: Callable[[], int]


class Serving:
    """Deploys layouts of one spec.

    Args:
        prepared: A spec of :func:`swept_spec`, its machine and its model.
        root: Folder of all deployments.
    """

    def __init__(self, prepared: Prepared, root: Path) -> None:
        self._prepared = prepared
        self._root = root
        self._supervisor: Supervisor | None = None

    def check(self, layout: SweptLayout) -> None:
        """Check that the machine can hold a layout, with other deployments gone.

        Raises:
            InfeasiblePlan: It cannot; the message says what would fit.
        """
        lay_out(self.prepared_for(layout))

    def check_compiled(self, layout: SweptLayout) -> None:
        """Check that what the replicas of a layout start from has been compiled.

        Raises:
            ArtefactError: It has not.
        """
        try:
            check_provided(lay_out(self.prepared_for(layout)))
        except ArtefactError as error:
            hint = "`replicore sweep --compile` first compiles what is missing"
            raise ArtefactError(f"{layout}: {error.message}", hint=hint) from error

    def candidates(self) -> tuple[SweptLayout, ...]:
        """Return the layouts that leave almost no core idle, beside the deployments that run.

        Raises:
            InfeasiblePlan: There is none.
        """
        taken = self.taken()
        fitting: dict[int, int] = {}
        for tp in self._prepared.legal_tp:
            try:
                open_spec = self._prepared_with(replicas="auto", tp=tp)
                found = lay_out(open_spec, taken=taken, predict=False)
            except InfeasiblePlan:
                continue
            fitting[tp] = found.layout.replicas
        if not fitting:
            lay_out(self._prepared_with(replicas="auto", tp="auto"), taken=taken)  # says why
        return choose_layouts(fitting)

    def taken(self) -> CoreRange:
        """Return the cores that deployments hold which run now."""
        with Claims(self._root) as claims:
            return claims.taken(self._prepared.machine.kind)

    @asynccontextmanager
    async def serve(self, layout: SweptLayout) -> AsyncIterator[Served]:
        """Run a layout for the length of the block.

        Raises:
            DeploymentError: Others hold its cores, or it is not ready in time.
            ReplicaError: A replica could not be made ready.
            InfeasiblePlan: The machine cannot hold it now.
        """
        deployment, folder = lay_out_and_claim(self.prepared_for(layout), self._root)
        started = time.monotonic()
        try:
            async with running(deployment, folder=folder) as supervisor:
                self._supervisor = supervisor
                wait_ready = partial(
                    supervisor.wait_ready, deployment.spec.supervisor.start_timeout
                )
                await wait_ready()
                yield Served(
                    url=supervisor.url,
                    cores=tuple(str(cores) for cores in deployment.layout.ranges),
                    slots=deployment.layout.replicas * deployment.layout.batch_size,
                    ready_s=time.monotonic() - started,
                    wait_ready=wait_ready,
                    starts=lambda: sum(one.incarnation for one in supervisor.replicas),
                )
        finally:
            self._supervisor = None
        # Kept only if something failed: its logs then tell what.
        shutil.rmtree(folder.path, ignore_errors=True)

    def kill(self) -> None:
        """End what is served without grace."""
        if self._supervisor is not None:
            self._supervisor.kill()

    def prepared_for(self, layout: SweptLayout) -> Prepared:
        """Return what a layout is deployed from."""
        sizes: dict[str, object] = {"replicas": layout.replicas, "tp": layout.tp}
        if layout.batch_size is not None:
            sizes["batch_size"] = layout.batch_size
        return self._prepared_with(**sizes)

    def _prepared_with(self, **sizes: object) -> Prepared:
        spec = self._prepared.spec
        layout = spec.layout.model_copy(update=sizes)
        return replace(self._prepared, spec=spec.model_copy(update={"layout": layout}))


def swept_spec(spec: Spec) -> Spec:
    """Return the spec with a name of the sweep's own, for all its layouts, and a private door."""
    return private(spec, _PREFIX)
