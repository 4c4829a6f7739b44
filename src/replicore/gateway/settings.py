"""From the spec's ``[gateway]`` to what a gateway process is told."""

from __future__ import annotations

from replicore.errors import ConfigError
from replicore.gateway.routing import POLICIES
from replicore.gateway.table import Settings
from replicore.spec import GatewaySpec

# The gateway ends its drain this long before its keeper would kill it.
_MARGIN_S = 1.0


def settings_of(spec: GatewaySpec, *, stop_grace: float = 10.0) -> Settings:
    """Return the settings.

    Args:
        stop_grace: Seconds from the gateway's SIGTERM to its SIGKILL.

    Raises:
        ConfigError: The spec asks for what this version of replicore does not have.
    """
    if spec.policy not in POLICIES:
        have = ", ".join(POLICIES)
        raise ConfigError(
            f'gateway.policy: "{spec.policy}" is not in this version; these are: {have}'
        )
    if spec.workers != 1:
        raise ConfigError(
            f"gateway.workers: {spec.workers} workers are not in this version; 1 works"
        )
    if spec.api_keys_file is not None:
        raise ConfigError(
            "gateway.api_keys_file: API keys are not in this version",
            hint="leave gateway.host on loopback, behind a proxy that checks keys",
        )
    return Settings(
        policy=spec.policy,
        max_queue=spec.max_queue,
        queue_timeout=spec.queue_timeout,
        max_body=spec.max_body,
        header_timeout=spec.header_timeout,
        idle_timeout=spec.idle_timeout,
        drain_timeout=max(stop_grace - _MARGIN_S, stop_grace / 2),
    )
