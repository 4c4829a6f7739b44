"""Host memory while replicas load."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.deploy.deployment import Deployment
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error, ok, readable
from replicore.engines.vllm.memory import PROCESS_BYTES
from replicore.findings import Finding
from replicore.hardware.cpu import CpuHardware
from replicore.wording import pluralize

# Loading sharded weights takes so much of their size at the same time: 1.4 of 12 GB measured.
# Source: NxD Inference, contrib/Trinity
_SHARDED_SHARE = 0.12


def check_loading(place: Place, case: Case) -> Iterator[Finding]:
    """Compare the memory with what the replicas take that load at the same time."""
    deployment = case.deployment
    if deployment is None or case.own is not None or deployment.machine.kind == "sim":
        return
    if deployment.machine.kind == "cpu":
        yield _on_cpu(deployment)
        return
    available = CpuHardware(place.root).detect().memory_bytes
    each, at_once = _host_bytes(deployment), deployment.starts_together
    loading = f"{pluralize(at_once, 'replica')} at a time"
    if each * at_once <= available:
        message = f"loading {loading} takes {readable(each * at_once)} of {readable(available)}"
        yield ok("loading", message)
        return
    yield error(
        "loading",
        f"supervisor.starts_together: loading {loading} takes {readable(each * at_once)} of host "
        f"memory ({readable(each)} each), {readable(available)} are available",
        _fewer(deployment, each, available),
        key="supervisor.starts_together",
    )


def _on_cpu(deployment: Deployment) -> Finding:
    layout = deployment.layout
    each = deployment.engine.memory_bytes(
        deployment.model.shape,
        tp=layout.tp,
        batch_size=layout.batch_size,
        max_model_len=layout.max_model_len,
    )
    count = pluralize(layout.replicas, "replica")
    available = readable(deployment.machine.memory_bytes)
    verb = "takes" if layout.replicas == 1 else "take"
    return ok("loading", f"{count} {verb} {readable(layout.replicas * each)} of {available}")


def _host_bytes(deployment: Deployment) -> int:
    """Return what one replica takes of the host while it loads, in bytes."""
    weights, tp = deployment.model.shape.weight_bytes, deployment.layout.tp
    if deployment.machine.kind == "cuda":
        # The weights are read through the page cache, which gives way.
        return (tp + 2) * PROCESS_BYTES
    sharded = deployment.spec.engine.neuron.shard_weights
    return round(weights * (_SHARDED_SHARE if sharded else 1.0)) + PROCESS_BYTES


def _fewer(deployment: Deployment, each: int, available: int) -> str:
    if each <= available:
        return f"supervisor.starts_together = {available // each}"
    if deployment.machine.kind == "neuron" and not deployment.spec.engine.neuron.shard_weights:
        return "engine.neuron.shard_weights = true, then `replicore compile` on a larger machine"
    return "a machine with more memory, or a smaller model"
