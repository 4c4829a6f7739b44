"""Deployments that run here, and what is left of those that do not."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.deploy import keeper
from replicore.deploy.programs import DEPLOYMENT_VARIABLE
from replicore.deploy.state import read_record
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import ok, variable_of, warning
from replicore.findings import Finding
from replicore.wording import pluralize


def check_deployments(place: Place, case: Case) -> Iterator[Finding]:
    """Tell which deployments run, and warn of processes whose deployment is gone."""
    for one in case.running:
        record = one.record
        cores = f" on cores {record.cores}" if record is not None and record.cores else ""
        url = f", {record.url}/v1" if record is not None and record.url else ""
        yield ok("deployments", f"{one.name} runs{cores}{url}")
    for name, pids in sorted(_strays(place, case).items()):
        yield warning(
            "strays",
            f"{name} has ended, but {pluralize(len(pids), 'process', 'processes')} of it still "
            f"{'runs' if len(pids) == 1 else 'run'}",
            f"`replicore up` of that name ends them, or `kill -9 {' '.join(map(str, pids))}`",
        )


def _strays(place: Place, case: Case) -> dict[str, list[int]]:
    """Return processes of ended deployments of this state folder, by the deployment's name.

    Those of another state folder may be alive: nobody here can tell.
    """
    ended = _ended(place, case)
    found: dict[str, list[int]] = {}
    for pid in keeper.processes() if ended else ():
        deployment = variable_of(place.root, pid, DEPLOYMENT_VARIABLE)
        if deployment in ended:
            found.setdefault(ended[deployment], []).append(pid)
    return found


def _ended(place: Place, case: Case) -> dict[str | None, str]:
    """Return the names of ended deployments, by the id of each of their ``up``."""
    alive = {one.name for one in case.running}
    ended: dict[str | None, str] = {}
    for path in place.state.glob("*/state.json"):
        record = read_record(path.parent)
        if record is None:
            continue
        ids = {record.last_id} if record.name in alive else {record.last_id, record.id}
        ended.update((one, record.name) for one in ids if one is not None)
    return ended
