"""What a machine has left for one deployment: how many replicas fit, and why no more do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

from replicore.cores import CoreRange
from replicore.deploy.placement import describe_size, explain_shortage, find_blocks
from replicore.errors import InfeasiblePlan
from replicore.hardware.machine import Holder, Machine
from replicore.units import GIB, MIB
from replicore.wording import pluralize, quoted

# Named in a message; an engine may have a process for each core.
MAX_HOLDERS = 3


class ReplicaMemory(Protocol):
    """What one replica needs in all, in bytes; ``Engine.memory_bytes`` of one model."""

    def __call__(self, *, tp: int, batch_size: int, max_model_len: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The machine without what other deployments hold, and what one replica needs of it.

    Attributes:
        allowed: Usable cores that the spec allows.
        taken: Usable cores that other deployments hold.
        legal_tp: The degrees that machine, model and engine allow, ascending.
    """

    machine: Machine
    allowed: CoreRange
    taken: CoreRange
    legal_tp: tuple[int, ...]
    memory: ReplicaMemory
    batch_size: int
    max_model_len: int

    @property
    def free(self) -> CoreRange:
        """Allowed cores that nobody holds."""
        return self.allowed - self.taken - self.machine.busy

    @property
    def strangers(self) -> CoreRange:
        """Allowed cores that processes hold which are no deployment of replicore."""
        return (self.allowed & self.machine.busy) - self.taken

    def replica_bytes(self, tp: int) -> int:
        return self.memory(tp=tp, batch_size=self.batch_size, max_model_len=self.max_model_len)

    def count(self, tp: int) -> int:
        """Return how many replicas of ``tp`` cores fit."""
        return min(self.count_by_cores(tp), self.count_by_quota(tp), self.count_by_memory(tp))

    def count_by_cores(self, tp: int) -> int:
        blocks = find_blocks(tp, self.machine, within=self.free)
        return len(blocks) * self.machine.sharing

    def count_by_quota(self, tp: int) -> int:
        blocks = max(0, self.machine.core_limit - len(self.taken)) // tp
        return blocks * self.machine.sharing

    def count_by_memory(self, tp: int) -> int:
        needed = self.replica_bytes(tp)
        fits = needed <= self.machine.replica_memory_bytes(tp)
        return self.machine.memory_bytes // max(1, needed) if fits else 0


def explain_limit(replicas: int, options: Sequence[int], room: Room) -> str:
    """Return why ``replicas`` do not fit with any tp of ``options``, and what would."""
    placeable = [tp for tp in options if room.count_by_cores(tp)]
    affordable = [tp for tp in placeable if room.count_by_memory(tp)]
    if placeable and not affordable:
        return _explain_one(placeable[-1], room)
    # The smallest tp asks for the least, so what stops it stops the others.
    tp = (affordable or options)[0]
    fitting = fitting_layouts(replicas, room) or "no other layout fits"
    return f"{_explain_all(replicas, tp, room)}; {fitting}{_other_cores(replicas, tp, room)}"


def _explain_one(tp: int, room: Room) -> str:
    """Return why the memory does not hold one replica."""
    needed, available = room.replica_bytes(tp), room.machine.replica_memory_bytes(tp)
    return (
        f"one replica of tp {tp} with batch_size {room.batch_size} and max_model_len "
        f"{room.max_model_len} needs {readable(needed)} of memory, {readable(available)} "
        f"is available{_held(room)}; {fitting_layouts(1, room) or _smaller(tp, room)}"
    )


def _explain_all(replicas: int, tp: int, room: Room) -> str:
    """Return why so many replicas do not fit: the cores, the quota, or their memory together."""
    if room.count_by_cores(tp) < replicas:
        return explain_shortage(replicas, tp, room.machine, within=room.free) + _held(room)
    size = describe_size(replicas, tp)
    if room.count_by_quota(tp) < replicas:
        busy = pluralize(replicas * tp, "core")
        held = f", other deployments hold {room.taken}" if room.taken else ""
        return (
            f"{size} would keep {busy} busy, the CPU quota allows {room.machine.core_limit}{held}"
        )
    each, available = room.replica_bytes(tp), room.machine.memory_bytes
    return (
        f"{size} need {readable(replicas * each)} of memory ({readable(each)} each), "
        f"{readable(available)} is available"
    )


def _held(room: Room) -> str:
    return "".join(f", {text}" for text in describe_holders(room))


def describe_holders(room: Room) -> Iterator[str]:
    """Yield who holds allowed cores: other deployments, and processes that are none of theirs."""
    taken = room.taken & room.allowed
    if taken:
        yield f"other deployments hold {taken}"
    holders = [holder for holder in room.machine.holders if holder.cores & room.strangers]
    for holder in holders[:MAX_HOLDERS]:
        yield f"{_name(holder)} holds {holder.cores}"
    if len(holders) > MAX_HOLDERS:
        rest = CoreRange.of(core for holder in holders[MAX_HOLDERS:] for core in holder.cores)
        yield f"{len(holders) - MAX_HOLDERS} more processes hold {rest}"


def _name(holder: Holder) -> str:
    if holder.pid is None:
        return holder.command or "a process that cannot be seen from here"
    return f"pid {holder.pid}" + (f" ({quoted(holder.command)})" if holder.command else "")


def fitting_layouts(near: int, room: Room) -> str:
    """Return legal layouts that fit, with about ``near`` replicas, each with its largest tp.

    Empty where none does.
    """
    largest = {room.count(tp): tp for tp in room.legal_tp}
    nearest = sorted(filter(None, largest), key=lambda replicas: abs(replicas - near))[:8]
    fitting = [f"{replicas}x{largest[replicas]}" for replicas in sorted(nearest)]
    return f"these fit: {', '.join(fitting)}" if fitting else ""


def _other_cores(replicas: int, tp: int, room: Room) -> str:
    """Return which layout.cores would hold so many, where those of the spec are the obstacle."""
    everywhere = replace(room, allowed=room.machine.cores)
    if room.count_by_cores(tp) >= replicas or everywhere.count(tp) < replicas:
        return ""
    blocks = find_blocks(tp, room.machine, within=everywhere.free)
    nearest = sorted(blocks, key=lambda block: (len(block - room.free), block.cores))
    chosen = nearest[: ceil(replicas / room.machine.sharing)]
    cores = CoreRange.of(core for block in chosen for core in block)
    return f'; {replicas}x{tp} would with layout.cores = "{cores}"'


def _smaller(tp: int, room: Room) -> str:
    """Return the lengths and batch sizes, halved until they fit: each alone, else together."""
    lengths = list(_halves(room.max_model_len, at_least=256))
    shorter = [(room.batch_size, length) for length in lengths]
    narrower = [(slots, room.max_model_len) for slots in _halves(room.batch_size, at_least=1)]
    found = [_first_held(tp, shorter, room), _first_held(tp, narrower, room)]
    if not any(found):
        found = [_first_held(tp, [(1, length) for length in lengths], room)]
    texts = [f"batch_size {size[0]} with max_model_len {size[1]}" for size in found if size]
    return f"{' or '.join(texts) or 'only a smaller or more quantised model'} would fit"


def _first_held(tp: int, sizes: Sequence[tuple[int, int]], room: Room) -> tuple[int, int] | None:
    """Return the first batch size and length whose replica the memory holds."""
    for batch_size, max_model_len in sizes:
        # Other keys of the spec may be for the length that it asks for, and for no other.
        with suppress(InfeasiblePlan):
            needed = room.memory(tp=tp, batch_size=batch_size, max_model_len=max_model_len)
            if needed <= room.machine.replica_memory_bytes(tp):
                return batch_size, max_model_len
    return None


def _halves(number: int, *, at_least: int) -> Iterator[int]:
    while (number := number // 2) >= at_least:
        yield number


def readable(size: int) -> str:
    """Return a size in bytes rounded for people; ``units.format_size`` is exact instead."""
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / MIB:.1f} MiB"
