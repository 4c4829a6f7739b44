"""What a machine has left for one deployment: how many replicas fit, and why no more do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from replicore.cores import CoreRange
from replicore.deploy.placement import describe_size, explain_shortage, find_blocks, pluralize
from replicore.hardware.machine import Machine
from replicore.units import GIB, MIB


class ReplicaMemory(Protocol):
    """What one replica needs in all, in bytes; ``Engine.memory_bytes`` of one model."""

    def __call__(self, *, tp: int, batch_size: int, max_model_len: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The machine without what other deployments hold, and what one replica needs of it.

    Attributes:
        free: Usable cores that the spec allows and no other deployment holds.
        taken: Usable cores that other deployments hold.
        legal_tp: The degrees that machine, model and engine allow, ascending.
    """

    machine: Machine
    free: CoreRange
    taken: CoreRange
    legal_tp: tuple[int, ...]
    memory: ReplicaMemory
    batch_size: int
    max_model_len: int

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
    fitting = _alternatives(replicas, room) or "no other layout fits"
    return f"{_explain_all(replicas, tp, room)}; {fitting}"


def _explain_one(tp: int, room: Room) -> str:
    """Return why the memory does not hold one replica."""
    needed, available = room.replica_bytes(tp), room.machine.replica_memory_bytes(tp)
    return (
        f"one replica of tp {tp} with batch_size {room.batch_size} and max_model_len "
        f"{room.max_model_len} needs {readable(needed)} of memory, {readable(available)} "
        f"is available; {_alternatives(1, room) or _smaller(tp, room)}"
    )


def _explain_all(replicas: int, tp: int, room: Room) -> str:
    """Return why so many replicas do not fit: the cores, the quota, or their memory together."""
    held = f", other deployments hold {room.taken}" if room.taken else ""
    if room.count_by_cores(tp) < replicas:
        return explain_shortage(replicas, tp, room.machine, within=room.free) + held
    size = describe_size(replicas, tp)
    if room.count_by_quota(tp) < replicas:
        busy = pluralize(replicas * tp, "core")
        return (
            f"{size} would keep {busy} busy, the CPU quota allows {room.machine.core_limit}{held}"
        )
    each, available = room.replica_bytes(tp), room.machine.memory_bytes
    return (
        f"{size} need {readable(replicas * each)} of memory ({readable(each)} each), "
        f"{readable(available)} is available"
    )


def _alternatives(near: int, room: Room) -> str:
    """Return legal layouts that fit, with about ``near`` replicas, each with its largest tp."""
    largest = {room.count(tp): tp for tp in room.legal_tp}
    nearest = sorted(filter(None, largest), key=lambda replicas: abs(replicas - near))[:8]
    fitting = [f"{replicas}x{largest[replicas]}" for replicas in sorted(nearest)]
    return f"these fit: {', '.join(fitting)}" if fitting else ""


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
