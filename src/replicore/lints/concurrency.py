"""Does the workload keep the replicas busy? Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.findings import Finding
from replicore.lints.plan import Plan

_KEY = "workload.concurrency"


def lint_concurrency(plan: Plan) -> Iterator[Finding]:
    """Compare ``workload.concurrency`` with the slots of all replicas."""
    given, slots = plan.spec.workload.concurrency, plan.slots
    if given is None:
        return
    sizes = f"{slots} slots ({plan.layout.replicas} x batch_size {plan.layout.batch_size})"
    if given == slots:
        message = f"{_KEY}: {given} requests at a time are as many as the {sizes}"
        yield Finding(level="ok", check="concurrency", message=message)
    elif given - slots > plan.spec.gateway.max_queue:
        yield _overflow(given, sizes, plan.spec.gateway.max_queue)
    else:
        yield _warning(given, slots, sizes, _effect(plan, given))


def _effect(plan: Plan, given: int) -> str:
    idle = plan.slots - given
    if idle < 0:
        return f"leave {-idle} waiting in the gateway: time to first token includes that wait"
    effect = f"leave {idle} idle"
    if plan.machine.kind == "neuron":
        effect += ", which cost as much as busy ones: a step works on the whole compiled batch"
    return effect


def _warning(given: int, slots: int, sizes: str, effect: str) -> Finding:
    return Finding(
        level="warning",
        check="concurrency",
        message=f"{_KEY}: {given} requests at a time for {sizes} {effect}",
        fix=f"leave {_KEY} out, which makes it {slots}",
        key=_KEY,
    )


def _overflow(given: int, sizes: str, max_queue: int) -> Finding:
    return Finding(
        level="error",
        check="concurrency",
        message=f"{_KEY}: {given} requests at a time are more than the {sizes} and the "
        f"{max_queue} places of gateway.max_queue; the rest is answered with 429",
        fix=f"a lower {_KEY}, or a higher gateway.max_queue",
        key=_KEY,
    )
