"""What all runs of a sweep have in common, as text: what a resumed one is held to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b

import msgspec

from replicore.hardware.machine import Machine
from replicore.spec.tables import Spec

# Chosen by the sweep, run by run, or not a matter of what is measured.
_NOT_SHARED = (
    "name",
    "layout.replicas",
    "layout.tp",
    "gateway.host",
    "gateway.port",
    "gateway.insecure",
    "gateway.api_keys_file",
    "gateway.tls_",
    "gateway.cors_origins",
    "gateway.admin_port",
    "gateway.access_log",
    "gateway.otlp_endpoint",
    "slo.",
    "workload.requests",
    "workload.concurrency",
)
_SECRET = "engine.env."
_DIGEST_BYTES = 6


def conditions_of(spec: Spec, machine: Machine, **more: object) -> dict[str, str]:
    """Return the conditions by dotted name: the spec's keys that are set, and the machine.

    The values of environment variables are hashed: a token may be among them, and these texts are
    in every report.

    Args:
        more: Further ones.
    """
    defaults = dict(_flattened(Spec().model_dump(mode="json")))
    found = {
        key: _hashed(value) if key.startswith(_SECRET) else value
        for key, value in _flattened(spec.model_dump(mode="json"))
        if not key.startswith(_NOT_SHARED) and _matters(key, value, defaults)
    }
    own = {"machine": machine.name, "machine.cores": str(machine.cores)}
    return {**found, **own, **{key: str(value) for key, value in more.items()}}


def _matters(key: str, value: str, defaults: Mapping[str, str]) -> bool:
    """Whether it differs from the default, or is what every reader asks for first."""
    asked_for = ("model.source", "engine.kind", "layout.batch_size", "workload.")
    return key.startswith(asked_for) or defaults.get(key) != value


def _flattened(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flattened(value, f"{key}.")
        else:
            yield key, _text(value)


def _text(value: object) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _hashed(text: str) -> str:
    return f"(hashed) {blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"
