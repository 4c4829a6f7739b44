"""How a model's key/value heads fall on the cores of a replica. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.engines.neuron.memory import heads_per_rank
from replicore.findings import Finding
from replicore.lints.plan import Plan


def lint_heads(plan: Plan) -> Iterator[Finding]:
    """Tell how often each key/value head is kept; warn where that is once per attention head."""
    if plan.spec.engine.kind != "neuron":
        return
    kv_heads, tp = plan.shape.kv_heads, plan.layout.tp
    copies = tp * heads_per_rank(plan.shape, tp) / kv_heads
    if kv_heads % tp and tp % kv_heads:
        yield Finding(
            level="warning",
            check="heads",
            message=f"layout.tp: {tp} and the {kv_heads} key/value heads do not divide each other, "
            "so that every attention head gets keys and values of its own: the KV cache takes "
            f"{copies:g} times its size",
            fix=f"layout.tp: a divisor or a multiple of {kv_heads}",
            key="layout.tp",
        )
        return
    kept = f"each is kept on {copies:g} cores" if copies > 1 else "each is kept once"
    message = f"layout.tp: {tp} cores share {kv_heads} key/value heads; {kept}"
    yield Finding(level="ok", check="heads", message=message)
