"""Deployments that nobody but replicore itself uses, such as a sweep's."""

from __future__ import annotations

from collections.abc import Mapping

from replicore.spec import Spec

_LONGEST_NAME = 63

# Any free port on loopback, without keys or TLS.
_DOOR: Mapping[str, object] = {
    "host": "127.0.0.1",
    "port": 0,
    "insecure": False,
    "api_keys_file": None,
    "tls_cert": None,
    "tls_key": None,
    "cors_origins": (),
    "admin_port": None,
    "access_log": None,
    "otlp_endpoint": None,
}


def private(spec: Spec, prefix: str) -> Spec:
    """Return the spec with a name of its own and a private door.

    The name is the same each time, so that what a killed one left is found by the next one.
    """
    return spec.model_copy(
        update={
            "name": f"{prefix}{spec.name}"[:_LONGEST_NAME],
            "gateway": spec.gateway.model_copy(update=dict(_DOOR)),
        }
    )
