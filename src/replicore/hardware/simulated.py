"""A machine of pretend cores: what the ``sim`` engine runs on."""

from __future__ import annotations

from replicore.cores import CoreRange
from replicore.hardware.machine import Machine, NumaNode

# HBM of one core of an AWS Trainium or Inferentia2 chip: 32 GiB for two.
CORE_MEMORY_BYTES = 16 * 2**30


class SimulatedHardware:
    """``cores`` pretend cores, numbered from 0, at least one, all in one memory domain."""

    kind = "sim"

    def __init__(self, cores: int) -> None:
        self._cores = CoreRange.of(range(cores))

    def detect(self) -> Machine:
        """Return the machine; it is the same one on every computer."""
        return Machine(
            kind=self.kind,
            name="simulated",
            cores=self._cores,
            core_limit=len(self._cores),
            numa=(NumaNode(index=0, cores=self._cores),),
            memory_bytes=len(self._cores) * CORE_MEMORY_BYTES,
            note="simulated cores; no work is done on them",
        )
