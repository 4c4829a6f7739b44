"""The layout of a deployment: how many replicas, on how many cores each, and on which.

A layout fits when there are cores in the right places, when no more of them are busy than the
machine allows, and when there is memory for every replica.

What the spec leaves open ("auto") an adviser picks among the layouts that fit (``picking.py``). A
rule does where there is none, or it cannot tell:

- replicas and tp open: the smallest legal tp that one replica fits in, then all replicas that fit;
- replicas open: all that fit;
- tp open: the largest legal tp that so many replicas fit with, for no core is left idle then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.picking import Adviser, Fitting, Pick
from replicore.deploy.placement import describe_size, place
from replicore.deploy.room import (
    ReplicaMemory,
    Room,
    describe_holders,
    explain_limit,
    fitting_layouts,
    readable,
)
from replicore.errors import InfeasiblePlan
from replicore.hardware.machine import Machine
from replicore.models.shape import ModelShape
from replicore.wording import pluralize

if TYPE_CHECKING:
    from replicore.spec import LayoutSpec

# What "auto" asks for at most, in tokens: the KV cache of a model's full length (128 Ki tokens is
# common) is larger than most machines' memory, and few requests use it.
AUTO_MAX_MODEL_LEN = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A layout that fits.

    Attributes:
        ranges: One core range for each replica, of equal size, at least one; disjoint unless the
            machine's ``sharing`` lets replicas have the same one.
        batch_size: Slots of each replica.
        max_model_len: Tokens per slot, prompt plus output.
        reason: What was chosen and why, in one line for people.
    """

    ranges: tuple[CoreRange, ...]
    batch_size: int
    max_model_len: int
    reason: str

    @property
    def replicas(self) -> int:
        return len(self.ranges)

    @property
    def tp(self) -> int:
        return len(self.ranges[0])


def choose_layout(
    wanted: LayoutSpec,
    machine: Machine,
    shape: ModelShape,
    *,
    legal_tp: tuple[int, ...],
    memory_bytes: ReplicaMemory,
    taken: CoreRange = NO_CORES,
    advise: Adviser | None = None,
) -> Layout:
    """Return the layout that the spec asks for on this machine.

    Args:
        legal_tp: The degrees that machine, model and engine allow, ascending.
        memory_bytes: What one replica needs.
        taken: Cores that other deployments hold.
        advise: Chooses where the spec leaves a choice; None leaves that to the rule.

    Raises:
        InfeasiblePlan: Nothing does what was asked; the message says what would fit.
    """
    room = Room(
        machine=machine,
        allowed=_allowed_cores(wanted, machine),
        taken=taken & machine.cores,
        legal_tp=legal_tp,
        memory=memory_bytes,
        batch_size=wanted.batch_size,
        max_model_len=_max_model_len(wanted, shape),
    )
    _check_some_core_is_free(room)
    picked = _choose_size(wanted, room, shape, advise)
    return Layout(
        ranges=place(picked.replicas, picked.tp, machine, within=room.free),
        batch_size=room.batch_size,
        max_model_len=room.max_model_len,
        reason=_reason(wanted, room, picked),
    )


def _max_model_len(wanted: LayoutSpec, shape: ModelShape) -> int:
    if wanted.max_model_len == "auto":
        return min(AUTO_MAX_MODEL_LEN, shape.max_model_len)
    if wanted.max_model_len > shape.max_model_len:
        raise InfeasiblePlan(
            f"layout.max_model_len: {wanted.max_model_len} is longer than the model's maximum; "
            f"up to {shape.max_model_len} tokens work"
        )
    return wanted.max_model_len


def _allowed_cores(wanted: LayoutSpec, machine: Machine) -> CoreRange:
    allowed = machine.cores if wanted.cores is None else wanted.cores
    unusable = allowed - machine.cores
    if unusable:
        raise InfeasiblePlan(
            f'layout.cores: {unusable} of "{allowed}" cannot be used here; '
            f"these can: {machine.cores}"
        )
    return allowed


def _check_some_core_is_free(room: Room) -> None:
    if not room.free:
        raise InfeasiblePlan(
            f'no core of "{room.allowed}" is free: {", ".join(describe_holders(room))}',
            hint="stop what holds them (`replicore down` for a deployment), or set layout.cores "
            "to cores that are free",
        )


def _choose_size(wanted: LayoutSpec, room: Room, shape: ModelShape, advise: Adviser | None) -> Pick:
    fitting = _fitting(wanted, room, shape)
    ruled = _by_rule(wanted, room, fitting)
    if advise is None or fitting.only_one:
        return ruled
    advised = advise(fitting)
    if isinstance(advised, Pick):
        return advised
    return replace(ruled, why=f"{ruled.why}, by rule: {advised.why}")


def _fitting(wanted: LayoutSpec, room: Room, shape: ModelShape) -> Fitting:
    options = _tp_options(wanted, room, shape)
    only = None if wanted.replicas == "auto" else wanted.replicas
    at_least = only or 1
    degrees = {tp: count for tp in options if (count := room.count(tp)) >= at_least}
    if not degrees:
        raise InfeasiblePlan(explain_limit(at_least, options, room))
    return Fitting(
        degrees=degrees,
        replicas=only,
        batch_size=room.batch_size,
        max_model_len=room.max_model_len,
    )


def _by_rule(wanted: LayoutSpec, room: Room, fitting: Fitting) -> Pick:
    smallest, largest = min(fitting.degrees), max(fitting.degrees)
    if fitting.replicas is None:
        tp, replicas = smallest, fitting.degrees[smallest]
    else:
        tp, replicas = largest, fitting.replicas
    return Pick(replicas=replicas, tp=tp, why=_why(wanted, room, replicas, tp))


def _tp_options(wanted: LayoutSpec, room: Room, shape: ModelShape) -> Sequence[int]:
    if wanted.tp == "auto":
        return room.legal_tp
    if wanted.tp in room.legal_tp or _is_unverified(wanted.tp, room.machine, shape):
        return (wanted.tp,)
    near = 1 if wanted.replicas == "auto" else wanted.replicas
    fitting = fitting_layouts(near, room)
    raise InfeasiblePlan(
        f"layout.tp: {_why_illegal(wanted.tp, room, shape)}; "
        f"these are: {_list_degrees(room.legal_tp)}" + (f"; {fitting}" if fitting else "")
    )


def _is_unverified(tp: int, machine: Machine, shape: ModelShape) -> bool:
    return tp in machine.unverified_tp and shape.heads % tp == 0


def _why_illegal(tp: int, room: Room, shape: ModelShape) -> str:
    machine = room.machine
    if tp > len(machine.cores):
        return f"{tp} is more than the {pluralize(len(machine.cores), 'core')} of {machine.name}"
    if machine.legal_tp is not None and tp not in machine.legal_tp + machine.unverified_tp:
        return f"{tp} is not a tensor parallel degree that {machine.name} supports"
    # Of the engines only some split heads evenly; one that does has no other degrees.
    if shape.heads % tp and not any(shape.heads % legal for legal in room.legal_tp):
        return f"{tp} does not divide the {shape.heads} attention heads of the model"
    return f"{tp} is not a legal tensor parallel degree of this model on {machine.name}"


def _list_degrees(degrees: tuple[int, ...]) -> str:
    if len(degrees) > 8 and degrees == tuple(range(1, len(degrees) + 1)):
        return f"1 to {len(degrees)}"
    return ", ".join(str(degree) for degree in degrees)


def _reason(wanted: LayoutSpec, room: Room, picked: Pick) -> str:
    tp = picked.tp
    usable = f"{pluralize(len(room.free), 'core')} {'is' if len(room.free) == 1 else 'are'} usable"
    parts = [picked.why, usable]
    if room.machine.core_limit < len(room.machine.cores):
        parts.append(f"the CPU quota allows {room.machine.core_limit} busy at once")
    if room.strangers:
        parts.append(f"other processes hold {room.strangers}")
    if tp in room.machine.unverified_tp:
        parts.append(f"tp {tp} is unverified on {room.machine.name}")
    if wanted.replicas == "auto" and room.count_by_memory(tp) < room.count_by_cores(tp):
        parts.append(f"{readable(room.machine.memory_bytes)} of memory is available")
    return f"{describe_size(picked.replicas, tp)}: {'; '.join(parts)}"


def _why(wanted: LayoutSpec, room: Room, replicas: int, tp: int) -> str:
    if wanted.tp == "auto" and wanted.replicas == "auto":
        memory = readable(room.replica_bytes(tp))
        return f"tp {tp} is the smallest whose memory ({memory}) fits"
    if wanted.tp == "auto":
        return f"tp {tp} is the largest that fits with {pluralize(replicas, 'replica')}"
    if wanted.replicas == "auto":
        return f"as many replicas as fit with tp {tp}"
    return "as the spec says"
