"""What a pod asks its node for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from replicore.hardware.machine import Machine
from replicore.hardware.neuron.catalogue import instances
from replicore.render.kubernetes.objects import Object
from replicore.render.kubernetes.settings import Cluster
from replicore.units import GIB

# Beyond the weights: Python, the engine's own processes, and /dev/shm.
_HOST_BYTES = 16 * GIB
_CPU_MARGIN = 1.25


def resources(cluster: Cluster) -> Object:
    """Return requests and limits of one replica."""
    if cluster.deployment.machine.kind not in ("cuda", "neuron"):
        return _cpu_resources(cluster)
    # While it loads, a replica may have the whole checkpoint in the host's memory. No limit: the
    # page cache counts, and the kernel takes that back by itself.
    host = cluster.replica.model.shape.weight_bytes + _HOST_BYTES
    devices = _devices(cluster)
    return {"requests": {"memory": _gibibytes(host), **devices}, "limits": devices}


def _cpu_resources(cluster: Cluster) -> Object:
    """Requests equal to limits, of whole cores: the kubelet's static policy then pins them."""
    replica = cluster.replica
    needed = cluster.deployment.engine.memory_bytes(
        replica.model.shape,
        tp=replica.tp,
        batch_size=replica.batch_size,
        max_model_len=replica.max_model_len,
    )
    whole = {"cpu": str(replica.tp), "memory": _gibibytes(needed * _CPU_MARGIN)}
    return {"requests": whole, "limits": whole}


def _devices(cluster: Cluster) -> Mapping[str, str]:
    """Return the device plugin's resource.

    Whole Neuron devices where a replica has whole ones: whether the plugin counts physical or
    logical cores at LNC 2 is unverified.

    Source: Neuron documentation, "Neuron device plugin" (``neurondevice`` is gone since 2.20).
    """
    machine, tp = cluster.deployment.machine, cluster.replica.tp
    if machine.kind == "cuda":
        return {"nvidia.com/gpu": str(tp)}
    chip = _chip_cores(machine)
    if chip is not None and tp % chip == 0:
        return {"aws.amazon.com/neuron": str(tp // chip)}
    return {"aws.amazon.com/neuroncore": str(tp)}


def _chip_cores(machine: Machine) -> int | None:
    """Return how many cores one Neuron device has; None where the instance is not known."""
    instance = instances().get(machine.name)
    if instance is None or len(machine.cores) % instance.chips:
        return machine.chip_cores
    return len(machine.cores) // instance.chips


def placement(cluster: Cluster) -> Object:
    """Return where pods may run, as a part of a pod's spec."""
    kind = cluster.deployment.machine.kind
    if kind == "cuda":
        return {"tolerations": [_tolerated("nvidia.com/gpu")]}
    if kind != "neuron":
        return {}
    instance = cluster.deployment.spec.engine.neuron.instance
    chosen = {"nodeSelector": {"node.kubernetes.io/instance-type": instance}} if instance else {}
    return {**chosen, "tolerations": [_tolerated("aws.amazon.com/neuron")]}


def _tolerated(key: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": "NoSchedule"}


def _gibibytes(size: float) -> str:
    return f"{math.ceil(size / GIB)}Gi"
