"""From the spec's ``[supervisor]`` to how patient one is with a replica, and with a worker."""

from __future__ import annotations

from dataclasses import replace

from replicore.deploy.replica import RestartPolicy
from replicore.deploy.unit import Limits
from replicore.spec import SupervisorSpec

# A worker of the gateway has nothing to load: it is there at once, or something is wrong with it.
# And while it is away its clients wait.
_WORKER_START_TIMEOUT_S = 30.0
_WORKER_BACKOFF_S = 0.1


def replica_limits(spec: SupervisorSpec) -> Limits:
    """Return the limits of a replica."""
    return Limits(
        start_timeout_s=spec.start_timeout,
        drain_timeout_s=spec.drain_timeout,
        stop_grace_s=spec.stop_grace,
        restarts=RestartPolicy(
            backoff_initial_s=spec.backoff_initial,
            backoff_max_s=spec.backoff_max,
            stable_after_s=spec.stable_after,
            max_failures=spec.max_failures,
            window_s=spec.failure_window,
        ),
    )


def worker_limits(spec: SupervisorSpec) -> Limits:
    """Return the limits of a worker of the gateway.

    Without it the address is open and nobody answers there, so it is never given up.
    """
    limits = replica_limits(spec)
    eager = replace(limits.restarts, backoff_initial_s=_WORKER_BACKOFF_S, max_failures=None)
    return replace(limits, start_timeout_s=_WORKER_START_TIMEOUT_S, restarts=eager)
