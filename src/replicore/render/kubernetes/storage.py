"""The volumes of a deployment, and the job that fills the one with the model."""

from __future__ import annotations

import math

from replicore.models.outline import MODELS
from replicore.render.kubernetes.objects import Object, literal, metadata, selector
from replicore.render.kubernetes.settings import Cluster
from replicore.render.service import hub_model
from replicore.units import GIB

_TWO_DOWNLOADS = 2  # the new revision beside the old one

_FETCH = """\
if [ -e "$MODEL" ]; then exit 0; fi
hf download "$REPOSITORY" --revision "$REVISION" --local-dir "$MODEL.partial"
mv -T "$MODEL.partial" "$MODEL"
"""


def claims(cluster: Cluster) -> list[Object]:
    """Return the claims; a pod on every node reads them, so the storage class must allow that."""
    if cluster.deployment.engine.simulated:
        return []
    weights = cluster.replica.model.shape.weight_bytes
    size = math.ceil(_TWO_DOWNLOADS * weights / GIB) + 1
    sizes = {cluster.models_claim: size}
    if cluster.recipe is not None:
        # Sharded, the weights are in it once more
        sizes[cluster.artefacts_claim] = size + 16
    return [_claim(cluster, name, size) for name, size in sizes.items()]


def fetch_job(cluster: Cluster) -> list[Object]:
    """Return the job that downloads the model, where it is one of the hub."""
    found = hub_model(cluster.deployment)
    return [] if found is None else [_fetch(cluster, *found)]


def _claim(cluster: Cluster, name: str, size: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(name, of=cluster.name, component="storage"),
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": f"{size}Gi"}},
        },
    }


def _fetch(cluster: Cluster, repo: str, revision: str) -> Object:
    name = f"{cluster.name}-fetch-model"
    variables = {
        "MODEL": str(cluster.replica.model.path),
        "REPOSITORY": repo,
        "REVISION": revision,
    }
    token = {"name": f"{cluster.name}-hub", "key": "token", "optional": True}
    container = {
        "name": "fetch",
        "image": cluster.gateway_image,
        "command": ["/bin/sh", "-ec", literal(_FETCH)],
        "env": [
            *({"name": key, "value": value} for key, value in variables.items()),
            {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}},
        ],
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [{"name": "models", "mountPath": str(MODELS)}],
    }
    volume = {
        "name": "models",
        "persistentVolumeClaim": {"claimName": cluster.models_claim},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(name, of=cluster.name, component="storage"),
        "spec": {
            "backoffLimit": 5,  # a download goes on where it broke
            "template": {
                "metadata": {"labels": selector(cluster.name, "fetch-model")},
                "spec": {
                    "restartPolicy": "OnFailure",
                    "enableServiceLinks": False,
                    "automountServiceAccountToken": False,
                    "containers": [container],
                    "volumes": [volume],
                },
            },
        },
    }
