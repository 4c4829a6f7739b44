"""How long replicas load, and what they do over and over. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.findings import Finding
from replicore.lints.plan import Plan
from replicore.units import GIB, MINUTE, format_duration

# The slowest load that was published for a large model: 516 GB in 851 s.
# Source: NxD Inference, contrib/Trinity
_SLOWEST_BYTES_PER_S = 0.6e9
_SETTLE_S = 60.0

# Cold starts of a 70B model compile for 15 to 20 minutes. Source: facts on Neuron, start-up times
_COLD_START_S = 30 * MINUTE


def lint_shard_weights(plan: Plan) -> Iterator[Finding]:
    """Warn where every replica shards the weights at every start."""
    neuron = plan.spec.engine.neuron
    if plan.spec.engine.kind != "neuron" or neuron.generation == "native":
        return
    size = f"{plan.shape.weight_bytes / GIB:.0f} GiB"
    if neuron.shard_weights:
        message = f"the weights ({size}) are sharded once, when the model is compiled"
        yield Finding(level="ok", check="shard-weights", message=message)
        return
    replicas = plan.layout.replicas
    each = f"each of the {replicas} replicas reads" if replicas > 1 else "the replica reads"
    yield Finding(
        level="warning",
        check="shard-weights",
        message=f"engine.neuron.shard_weights: false, so {each} and shards {size} at every start "
        "and restart, with as much host memory",
        fix="engine.neuron.shard_weights = true, then `replicore compile`",
        key="engine.neuron.shard_weights",
    )


def lint_start_timeout(plan: Plan) -> Iterator[Finding]:
    """Warn of a start timeout that a slow disk, or a cold compile, takes longer than."""
    given = plan.spec.supervisor.start_timeout
    needed = plan.shape.weight_bytes / _SLOWEST_BYTES_PER_S + _SETTLE_S
    why = f"loading {plan.shape.weight_bytes / GIB:.0f} GiB can take {needed / MINUTE:.0f} minutes"
    if _compiles_at_start(plan):
        needed, why = _COLD_START_S, "the first start compiles, which takes 15 to 20 minutes of 70B"
    if plan.spec.engine.kind in ("sim", "remote") or given >= needed:
        return
    yield Finding(
        level="warning",
        check="start-timeout",
        message=f"supervisor.start_timeout: {format_duration(given)} may be too short: {why}",
        fix=f'supervisor.start_timeout = "{_whole_minutes(needed)}m"',
        key="supervisor.start_timeout",
    )


def _compiles_at_start(plan: Plan) -> bool:
    engine = plan.spec.engine
    is_native = engine.kind == "neuron" and engine.neuron.generation == "native"
    return is_native and plan.compiled is None


def _whole_minutes(seconds: float) -> int:
    """Return minutes, rounded up to fives."""
    return int(-(-seconds // (5 * MINUTE))) * 5
