"""What a machine offers to replicas, whatever the cores are (CPU, CUDA, Neuron, simulated)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from replicore.cores import NO_CORES, CoreRange


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaNode:
    """One memory domain and the usable cores that are near it."""

    index: int
    cores: CoreRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process of somebody that has cores, or a device's memory.

    Attributes:
        cores: Those that it has, or may have where only its device is known.
        pid: None where it is in another pid namespace.
        command: As far as it is known, else empty.
        memory_bytes: Device memory that it has; 0 where that is not known.
    """

    cores: CoreRange
    pid: int | None = None
    command: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The cores and the memory that this process may use, as found by a :class:`Hardware`.

    Attributes:
        kind: What a core is: ``cpu``, ``cuda``, ``neuron`` or ``sim``.
        name: The device's own name, for people.
        cores: Usable cores; never empty.
        core_limit: How many of ``cores`` may be busy at once; below ``len(cores)`` under a
            cgroup CPU quota.
        numa: Memory domains, disjoint, covering ``cores``.
        memory_bytes: Memory that all replicas together may use.
        core_memory_bytes: Memory of one core where each core has its own, as an accelerator's;
            None where all cores share ``memory_bytes``.
        legal_tp: Tensor-parallel degrees that the device supports; None where any works.
        unverified_tp: Degrees that may work without the vendor's word for it: taken where a spec
            asks for one of them, never chosen.
        aligned: Whether a replica's range must start on a multiple of its tp.
        chip_cores: Cores of one chip, where a replica's range must have no gap and start with a
            chip, or on a multiple of its tp where that is smaller; None where chips do not matter.
        sharing: Replicas that may be given the same range; 1 keeps all ranges disjoint.
        busy: Cores that other processes hold, whoever started them; none of them can be used.
        holders: Who holds ``busy`` cores, or memory of cores that can be used all the same.
        note: One line about limits found (affinity, quota), or empty.
        planned_by: Key and value of the spec that it is planned by, so that nothing can be started
            on it; None where it is this machine.
    """

    kind: str
    name: str
    cores: CoreRange
    core_limit: int
    numa: tuple[NumaNode, ...]
    memory_bytes: int
    core_memory_bytes: int | None = None
    legal_tp: tuple[int, ...] | None = None
    unverified_tp: tuple[int, ...] = ()
    aligned: bool = False
    chip_cores: int | None = None
    sharing: int = 1
    busy: CoreRange = NO_CORES
    holders: tuple[Holder, ...] = ()
    note: str = ""
    planned_by: str | None = None

    def step(self, tp: int) -> int | None:
        """Return what a range of ``tp`` cores must start on a multiple of, without a gap.

        None where any cores make a range.
        """
        if self.aligned:
            return tp
        return None if self.chip_cores is None else min(tp, self.chip_cores)

    def replica_memory_bytes(self, tp: int) -> int:
        """Return the memory that one replica on ``tp`` cores can have, in bytes."""
        if self.core_memory_bytes is None:
            return self.memory_bytes
        return tp * self.core_memory_bytes // self.sharing


class Hardware(Protocol):
    """A kind of accelerator that can be looked for on this machine."""

    kind: str

    def detect(self) -> Machine:
        """Return what this process may use.

        Raises:
            ConfigError: There is no such device here, or none that this process may use.
        """
        ...
