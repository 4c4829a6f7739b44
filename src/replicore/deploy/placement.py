"""Where replicas go: from free cores to disjoint ranges of ``tp`` cores each.

Where ranges must start on a multiple of something (a machine's ``step``), the first free range that
does is taken, then the next one behind it: of ranges of one size, no other choice gives more. With
``tp`` itself as the step this is a buddy allocator for one size.

Elsewhere a replica takes the next ``tp`` free cores of a NUMA node. The up to ``tp - 1`` cores left
over in each node are joined last, for replicas that are larger than a node or find none free.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from replicore.cores import CoreRange
from replicore.errors import InfeasiblePlan
from replicore.hardware.machine import Machine
from replicore.wording import pluralize


def find_blocks(tp: int, machine: Machine, *, within: CoreRange) -> tuple[CoreRange, ...]:
    """Return as many disjoint ranges of ``tp`` cores as ``within`` holds.

    Those inside one NUMA node come first, each group in order of core numbers.
    """
    free = within & machine.cores
    step = machine.step(tp)
    blocks = _packed_blocks(tp, machine, free) if step is None else _stepped_blocks(tp, step, free)
    return tuple(sorted(blocks, key=lambda block: (not _is_local(block, machine), block.cores)))


def place(count: int, tp: int, machine: Machine, *, within: CoreRange) -> tuple[CoreRange, ...]:
    """Return ``count`` ranges of ``tp`` cores each, in order of core numbers.

    They are disjoint, except that as many as the machine's ``sharing`` are the same one; each has
    one replica before any has two.

    Raises:
        InfeasiblePlan: ``within`` does not hold so many.
    """
    blocks = find_blocks(tp, machine, within=within)
    if len(blocks) * machine.sharing < count:
        raise InfeasiblePlan(explain_shortage(count, tp, machine, within=within))
    return tuple(sorted((blocks * machine.sharing)[:count], key=lambda block: block.cores))


def explain_shortage(count: int, tp: int, machine: Machine, *, within: CoreRange) -> str:
    """Return why ``count`` ranges of ``tp`` cores do not fit, in numbers."""
    free = within & machine.cores
    wanted = describe_size(count, tp)
    if machine.sharing > 1:
        wanted += f", {machine.sharing} on the same cores,"
    needs = "needs" if count == 1 else "need"
    usable = f"{len(free)} {'is' if len(free) == 1 else 'are'} usable"
    usable += f" ({free})" if free else ""
    ranges = ceil(count / machine.sharing)
    step = machine.step(tp)
    if step is None or ranges * tp > len(free):
        return f"{wanted} {needs} {pluralize(ranges * tp, 'core')}, {usable}"
    found = len(find_blocks(tp, machine, within=within))
    return (
        f"{wanted} {needs} {pluralize(ranges, 'free range')} of {tp} that "
        f"{'starts' if ranges == 1 else 'start'} on a multiple of {step}, "
        f"there are {found}: {usable}"
    )


def describe_size(replicas: int, tp: int) -> str:
    """Return ``2 replicas x 1 core`` and the like."""
    return f"{pluralize(replicas, 'replica')} x {pluralize(tp, 'core')}"


def _stepped_blocks(tp: int, step: int, free: CoreRange) -> Iterator[CoreRange]:
    cores = set(free)
    end = 0
    for start in free:
        block = range(start, start + tp)
        if start >= end and start % step == 0 and cores.issuperset(block):
            yield CoreRange(tuple(block))
            end = start + tp


def _packed_blocks(tp: int, machine: Machine, free: CoreRange) -> Iterator[CoreRange]:
    left_over: list[int] = []
    for node in machine.numa:
        near = (node.cores & free).cores
        whole = len(near) - len(near) % tp
        yield from CoreRange(near[:whole]).split(tp)
        left_over.extend(near[whole:])
    # Still node by node, so that a range across nodes touches as few of them as can be.
    for end in range(tp, len(left_over) + 1, tp):
        yield CoreRange.of(left_over[end - tp : end])


def _is_local(block: CoreRange, machine: Machine) -> bool:
    return any(not block - node.cores for node in machine.numa)
