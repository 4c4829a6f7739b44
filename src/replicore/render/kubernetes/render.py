"""Kubernetes manifests: a StatefulSet with its front door, or a LeaderWorkerSet."""

from __future__ import annotations

from collections.abc import Sequence

from replicore.deploy.deployment import Deployment
from replicore.render.file import RenderedFile
from replicore.render.kubernetes.gateway import gateway_deployment, gateway_service
from replicore.render.kubernetes.group import group_set
from replicore.render.kubernetes.objects import Object, document
from replicore.render.kubernetes.replicas import endpoints, guard, replica_objects
from replicore.render.kubernetes.settings import Cluster, plan_cluster
from replicore.render.kubernetes.storage import claims, fetch_job


def render_statefulset(
    deployment: Deployment, *, image: str, gateway_image: str
) -> tuple[RenderedFile, ...]:
    """Return the manifests of replicas and front door, for any cluster.

    Args:
        image: Has the engine's environment.
        gateway_image: Has replicore.

    Raises:
        ConfigError: The engine cannot be asked.
    """
    cluster = plan_cluster(deployment, image=image, gateway_image=gateway_image)
    door = [
        gateway_deployment(cluster, endpoints(cluster)),
        gateway_service(cluster, cluster.name),
    ]
    return (
        *_storage(cluster),
        _file("replicas.yaml", cluster, replica_objects(cluster)),
        _file("gateway.yaml", cluster, door),
    )


def render_group(
    deployment: Deployment, *, image: str, gateway_image: str
) -> tuple[RenderedFile, ...]:
    """Return the manifests of a LeaderWorkerSet, for clusters that have its controller.

    Raises:
        ConfigError: The engine cannot be asked.
    """
    cluster = plan_cluster(deployment, image=image, gateway_image=gateway_image)
    # The LeaderWorkerSet makes a Service of its own name, by which its pods find each other
    door = gateway_service(cluster, f"{cluster.name}-gateway")
    objects = [group_set(cluster), guard(cluster), door]
    return (*_storage(cluster), _file("group.yaml", cluster, objects))


def _storage(cluster: Cluster) -> list[RenderedFile]:
    objects = [*claims(cluster), *fetch_job(cluster)]
    return [_file("storage.yaml", cluster, objects)] if objects else []


def _file(name: str, cluster: Cluster, objects: Sequence[Object]) -> RenderedFile:
    comment = [
        f"Rendered by replicore from the spec of {cluster.deployment.name}: change the spec and "
        "render again.",
    ]
    return RenderedFile(name=name, text=document(comment, objects))
