"""The replicas as a StatefulSet: pods with names that stay, so that the front door knows them."""

from __future__ import annotations

from replicore.render.kubernetes.objects import PORT, Object, metadata, selector
from replicore.render.kubernetes.pod import replica_pod
from replicore.render.kubernetes.settings import Cluster


def endpoints(cluster: Cluster) -> list[str]:
    """Return the replicas' base URLs, which are the same after every restart."""
    name = _name(cluster)
    return [f"http://{name}-{index}.{name}:{PORT}" for index in range(cluster.replicas)]


def replica_objects(cluster: Cluster) -> list[Object]:
    """Return the StatefulSet with its Service, and who may disturb and reach its pods."""
    objects = [_service(cluster), _set(cluster), guard(cluster)]
    return objects if cluster.replicas == 1 else [*objects, _budget(cluster)]


def guard(cluster: Cluster) -> Object:
    """Only the front door may talk to replicas: they ask for no key."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(_name(cluster), of=cluster.name, component="replica"),
        "spec": {
            "podSelector": {"matchLabels": selector(cluster.name, "replica")},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"podSelector": {"matchLabels": selector(cluster.name, "gateway")}}],
                    "ports": [{"port": PORT}],
                }
            ],
        },
    }


def _name(cluster: Cluster) -> str:
    return f"{cluster.name}-replica"


def _service(cluster: Cluster) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(_name(cluster), of=cluster.name, component="replica"),
        "spec": {
            "clusterIP": "None",
            # The front door finds out itself who serves
            "publishNotReadyAddresses": True,
            "selector": selector(cluster.name, "replica"),
            "ports": [{"name": "http", "port": PORT}],
        },
    }


def _set(cluster: Cluster) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(_name(cluster), of=cluster.name, component="replica"),
        "spec": {
            "replicas": cluster.replicas,
            "serviceName": _name(cluster),
            "podManagementPolicy": "OrderedReady" if cluster.loads_one_by_one else "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            "selector": {"matchLabels": selector(cluster.name, "replica")},
            "template": replica_pod(cluster),
        },
    }


def _budget(cluster: Cluster) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(_name(cluster), of=cluster.name, component="replica"),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(cluster.name, "replica")},
        },
    }
