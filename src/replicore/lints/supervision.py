"""Can a replica that never starts be told from one that is unlucky? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from replicore.findings import Finding
from replicore.units import format_duration

if TYPE_CHECKING:
    from replicore.spec import Spec, SupervisorSpec

# A delay is at least this share of its back-off. Source: deploy/replica.py, JITTER
_SHORTEST_SHARE = 0.5


def lint_giving_up(spec: Spec) -> Iterator[Finding]:
    """Warn where ``max_failures`` cannot happen within ``failure_window``: nothing is given up."""
    supervisor = spec.supervisor
    shortest = _shortest_s(supervisor)
    if shortest < supervisor.failure_window:
        return
    yield Finding(
        level="warning",
        check="giving-up",
        message=f"supervisor.failure_window: {format_duration(supervisor.failure_window)} is less "
        f"than the {format_duration(round(shortest))} that the waits before "
        f"{supervisor.max_failures} failures take, so a replica that cannot start is tried again "
        "for ever",
        fix="a longer supervisor.failure_window, or a shorter supervisor.backoff_max",
        key="supervisor.failure_window",
    )


def _shortest_s(supervisor: SupervisorSpec) -> float:
    """Return the least time from the first to the last of ``max_failures`` failures."""
    waits, wait = 0.0, supervisor.backoff_initial
    for _ in range(supervisor.max_failures - 1):
        waits += min(wait, supervisor.backoff_max)
        wait = min(2 * wait, supervisor.backoff_max)
        if waits * _SHORTEST_SHARE > supervisor.failure_window:
            break
    return waits * _SHORTEST_SHARE
