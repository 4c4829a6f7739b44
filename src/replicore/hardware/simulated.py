"""A machine of pretend cores: what the ``sim`` engine runs on."""

from __future__ import annotations

from replicore.cores import CoreRange
from replicore.hardware.machine import Machine, NumaNode

# HBM of one core of an AWS Trainium or Inferentia2 chip: 32 GiB for two.
CORE_MEMORY_BYTES = 16 * 2**30


class SimulatedHardware:
    """``cores`` pretend cores, numbered from 0, at least one, all in one memory domain.

    Args:
        device: What they are said to be; empty for cores of no device.
        core_memory_bytes: Of each core alone; None where they share their memory.
        legal_tp: As :class:`Machine` has it, and ``aligned`` too.
    """

    kind = "sim"

    def __init__(
        self,
        cores: int,
        *,
        device: str = "",
        core_memory_bytes: int | None = None,
        legal_tp: tuple[int, ...] | None = None,
        aligned: bool = False,
    ) -> None:
        self._cores = CoreRange.of(range(cores))
        self._device = device
        self._core_memory_bytes = core_memory_bytes
        self._legal_tp = legal_tp
        self._aligned = aligned

    def detect(self) -> Machine:
        """Return the machine; it is the same one on every computer."""
        memory = self._core_memory_bytes or CORE_MEMORY_BYTES
        return Machine(
            kind=self.kind,
            name=f"simulated {self._device}".rstrip(),
            cores=self._cores,
            core_limit=len(self._cores),
            numa=(NumaNode(index=0, cores=self._cores),),
            memory_bytes=len(self._cores) * memory,
            core_memory_bytes=self._core_memory_bytes,
            legal_tp=self._legal_tp,
            aligned=self._aligned,
            note="simulated cores; no work is done on them",
        )
