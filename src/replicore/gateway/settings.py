"""From the spec's ``[gateway]`` to what a gateway worker is told."""

from __future__ import annotations

from pathlib import Path

from replicore.errors import ConfigError
from replicore.gateway.access.exposure import check_exposure
from replicore.gateway.access.keys import KeyRing
from replicore.gateway.routing.policies import POLICIES
from replicore.gateway.table import Settings
from replicore.http.tls import Tls
from replicore.spec import GatewaySpec

# The gateway ends its drain this long before its keeper would kill it.
_MARGIN_S = 1.0


def check_settings(spec: GatewaySpec) -> None:
    """Check all that needs no look at a file: those may be on the machine that will serve.

    Raises:
        ConfigError: This version has no such policy, or other machines could use the model without
            a key.
    """
    if spec.policy not in POLICIES:
        have = ", ".join(POLICIES)
        raise ConfigError(
            f'gateway.policy: "{spec.policy}" is not in this version; these are: {have}'
        )
    check_exposure(spec.host, has_keys=spec.api_keys_file is not None, insecure=spec.insecure)


def settings_of(spec: GatewaySpec, *, stop_grace: float = 10.0) -> Settings:
    """Return the settings, after a look at the files that they name.

    Args:
        stop_grace: Seconds from a worker's SIGTERM to its SIGKILL.

    Raises:
        ConfigError: This version has no such policy, a file cannot be used, or other machines
            could use the model without a key.
    """
    check_settings(spec)
    if spec.api_keys_file is not None:
        KeyRing.read(spec.api_keys_file)
    settings = Settings(
        policy=spec.policy,
        max_queue=spec.max_queue,
        queue_timeout=spec.queue_timeout,
        max_body=spec.max_body,
        header_timeout=spec.header_timeout,
        idle_timeout=spec.idle_timeout,
        drain_timeout=max(stop_grace - _MARGIN_S, stop_grace / 2),
        stall_timeout=spec.stall_timeout,
        slow_start=spec.slow_start,
        resume=spec.resume,
        api_keys_file=_absolute(spec.api_keys_file),
        cors_origins=spec.cors_origins,
        tls_cert=_absolute(spec.tls_cert),
        tls_key=_absolute(spec.tls_key),
        access_log=_absolute(spec.access_log),
        otlp_endpoint=spec.otlp_endpoint,
    )
    tls_of(settings)
    return settings


def tls_of(settings: Settings) -> Tls | None:
    """Return the certificate to serve with; None where it is plain HTTP.

    Raises:
        ConfigError: Certificate or key cannot be used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Tls(Path(settings.tls_cert), Path(settings.tls_key))


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
