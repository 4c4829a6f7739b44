"""What one core of a device can do by its data sheet. Pure.

A core is what a replica's ``tp`` counts: a GPU, a logical NeuronCore, a CPU core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["cuda", "rocm", "neuron", "cpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The data sheet of one core.

    Attributes:
        key: Short name in lower case, such as ``h100``; calibrations are filed under it.
        cores: Of one machine as it is usually sold; None where machines differ.
        memory_bytes: Of one core; None where cores share the machine's.
        bytes_per_s: Memory bandwidth.
        flops_16: Dense operations a second with 16-bit numbers.
        flops_8: The same with 8 bits; equal to ``flops_16`` where they are not faster.
        flops_4: The same with 4 bits.
        link_bytes_per_s: To the other cores of the machine, one direction.
    """

    key: str
    name: str
    kind: Kind
    cores: int | None
    memory_bytes: int | None
    bytes_per_s: float
    flops_16: float
    flops_8: float
    flops_4: float
    link_bytes_per_s: float
    source: str

    def flops(self, bits: float) -> float:
        """Return the rate of arithmetic whose narrower operand has so many bits."""
        if bits <= 4:
            return self.flops_4
        return self.flops_8 if bits <= 8 else self.flops_16
