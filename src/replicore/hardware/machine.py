"""What a machine offers to replicas, whatever the cores are (CPU, CUDA, Neuron, simulated)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from replicore.cores import CoreRange


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaNode:
    """One memory domain and the usable cores that are near it."""

    index: int
    cores: CoreRange


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
        aligned: Whether a replica's range must start on a multiple of its tp.
        note: One line about limits found (affinity, quota), or empty.
    """

    kind: str
    name: str
    cores: CoreRange
    core_limit: int
    numa: tuple[NumaNode, ...]
    memory_bytes: int
    core_memory_bytes: int | None = None
    legal_tp: tuple[int, ...] | None = None
    aligned: bool = False
    note: str = ""

    def replica_memory_bytes(self, tp: int) -> int:
        """Return the memory that one replica on ``tp`` cores can have, in bytes."""
        if self.core_memory_bytes is None:
            return self.memory_bytes
        return tp * self.core_memory_bytes


class Hardware(Protocol):
    """A kind of accelerator that can be looked for on this machine."""

    kind: str

    def detect(self) -> Machine:
        """Return what this process may use.

        Raises:
            ConfigError: There is no such device here, or none that this process may use.
        """
        ...
