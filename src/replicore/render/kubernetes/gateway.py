"""The front door's pod, and the Service that clients use."""

from __future__ import annotations

from collections.abc import Sequence

from replicore.render.kubernetes.objects import PORT, Object, literal, metadata, selector
from replicore.render.kubernetes.settings import Cluster
from replicore.render.service import gateway_settings

_KEYS = "/etc/replicore/keys"
# Settings that name files or addresses of one machine. TLS is the ingress's.
_OF_THE_HOST = frozenset(
    {"host", "port", "insecure", "api_keys_file", "tls_cert", "tls_key", "access_log", "admin_port"}
)


def gateway_pod(cluster: Cluster, endpoints: Sequence[str]) -> Object:
    """Return the template of the front door's pod.

    Args:
        endpoints: Base URLs of the replicas.
    """
    has_keys = cluster.deployment.spec.gateway.api_keys_file is not None
    pod: Object = {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        # It finishes the requests that it has.
        "terminationGracePeriodSeconds": 90,
        "containers": [_container(cluster, endpoints, has_keys=has_keys)],
    }
    if has_keys:
        pod["volumes"] = [{"name": "keys", "secret": {"secretName": f"{cluster.name}-keys"}}]
    return {"metadata": {"labels": selector(cluster.name, "gateway")}, "spec": pod}


def gateway_deployment(cluster: Cluster, endpoints: Sequence[str]) -> Object:
    """One pod: it knows what every replica has outstanding. While it is replaced, both serve."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(f"{cluster.name}-gateway", of=cluster.name, component="gateway"),
        "spec": {
            "replicas": 1,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "selector": {"matchLabels": selector(cluster.name, "gateway")},
            "template": gateway_pod(cluster, endpoints),
        },
    }


def gateway_service(cluster: Cluster, name: str) -> Object:
    """Return what clients connect to."""
    port = cluster.deployment.spec.gateway.port or PORT
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, of=cluster.name, component="gateway"),
        "spec": {
            "selector": selector(cluster.name, "gateway"),
            "ports": [{"name": "http", "port": port, "targetPort": "http"}],
        },
    }


def _container(cluster: Cluster, endpoints: Sequence[str], *, has_keys: bool) -> Object:
    words = [word for url in endpoints for word in ("--endpoint", url)]
    words += ["--slots", str(cluster.replica.batch_size), "--host", "0.0.0.0", "--port", str(PORT)]
    words += ["--set", f"gateway.api_keys_file={_KEYS}/keys.txt"] if has_keys else ["--insecure"]
    settings = gateway_settings(cluster.deployment.spec.gateway, without=_OF_THE_HOST)
    words += [literal(word) for word in settings]
    health = {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 5}
    container: Object = {
        "name": "gateway",
        "image": cluster.gateway_image,
        "command": ["replicore", "gateway", *words],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": {**health, "periodSeconds": 5, "failureThreshold": 2},
        # Only whether it listens: without a replica it is not healthy, and no restart helps.
        "livenessProbe": {
            "tcpSocket": {"port": "http"},
            "periodSeconds": 20,
            "failureThreshold": 3,
        },
        # Until the Service has forgotten it, new requests still come.
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sleep", "5"]}}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if has_keys:
        container["volumeMounts"] = [{"name": "keys", "mountPath": _KEYS, "readOnly": True}]
    return container
