"""A LeaderWorkerSet: a node's front door and its replicas are one group; nodes are more groups.

Source: LeaderWorkerSet's API, version 1 of ``leaderworkerset.x-k8s.io``.
"""

from __future__ import annotations

from replicore.render.kubernetes.gateway import gateway_pod
from replicore.render.kubernetes.objects import PORT, Object, metadata
from replicore.render.kubernetes.pod import replica_pod
from replicore.render.kubernetes.settings import Cluster

_EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"


def group_set(cluster: Cluster) -> Object:
    """Return the LeaderWorkerSet, with one group.

    The leader is the front door, and worker ``i`` is replica ``i - 1``. A group has a node of its
    own. A replica that fails is restarted alone: the others serve on.
    """
    described = metadata(cluster.name, of=cluster.name, component="replica")
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {**described, "annotations": {_EXCLUSIVE: "kubernetes.io/hostname"}},
        "spec": {
            "replicas": 1,
            "startupPolicy": "LeaderCreated",
            "networkConfig": {"subdomainPolicy": "Shared"},
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"maxUnavailable": 1, "maxSurge": 0},
            },
            "leaderWorkerTemplate": {
                "size": cluster.replicas + 1,
                "restartPolicy": "None",
                "leaderTemplate": _leader(cluster),
                "workerTemplate": replica_pod(cluster),
            },
        },
    }


def _leader(cluster: Cluster) -> Object:
    """Return the front door's pod, which finds its own group's workers by its own name."""
    workers = range(1, cluster.replicas + 1)
    pod = gateway_pod(cluster, [f"http://$(POD)-{i}.{cluster.name}:{PORT}" for i in workers])
    own_name = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    pod["spec"]["containers"][0]["env"] = [own_name]
    return pod
