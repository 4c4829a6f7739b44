"""What a chip and an instance type are, in numbers. Pure.

A *physical* core is a NeuronCore. Trainium2 and later join ``lnc`` of them to one *logical* core,
and logical cores are what everything else here calls cores: they are numbered through the instance,
chip after chip, a replica's tp counts them, and ``NEURON_RT_VISIBLE_CORES`` takes their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from replicore.cores import CoreRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A Neuron device.

    Attributes:
        core: Name of its physical cores.
        platform: As AWS names it in documents and variables, such as ``trn2``.
        lnc: Physical cores per logical core that it can be set to, the default first.
        hbm_bytes_per_s: Bandwidth of its memory.
        bf16_flops: Dense operations per second of all its cores; the other rates likewise.
        link_bytes_per_s: Of its links to other chips together.
        tp: Documented tensor-parallel degrees.
        alignment: Where a replica's range may start: on a multiple of its tp, or with a chip.
        unverified: What is given without AWS's word for it, by attribute, and why.
        unverified_tp: Degrees that may work, and why they are not among the documented ones.
    """

    name: str
    core: str
    platform: str
    physical_cores: int
    lnc: tuple[int, ...]
    hbm_bytes: int
    hbm_bytes_per_s: float
    bf16_flops: float
    fp8_flops: float
    link: str
    link_bytes_per_s: float
    tp: tuple[int, ...]
    alignment: Literal["tp", "chip"]
    source: str
    fp32_flops: float | None = None
    unverified: Mapping[str, str] = field(default_factory=dict)
    unverified_tp: Mapping[int, str] = field(default_factory=dict)

    def cores(self, lnc: int) -> int:
        """Return how many logical cores one chip has."""
        return self.physical_cores // lnc

    def core_hbm_bytes(self, lnc: int) -> int:
        """Return a logical core's share of the memory.

        At LNC 1 two cores share a bank of this size twice, and one can take the other's part.
        """
        return self.hbm_bytes // self.cores(lnc)

    def core_hbm_bytes_per_s(self, lnc: int) -> float:
        return self.hbm_bytes_per_s / self.cores(lnc)

    def core_bf16_flops(self, lnc: int) -> float:
        return self.bf16_flops / self.cores(lnc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An EC2 instance type.

    Attributes:
        type: Its name, such as ``trn2.48xlarge``.
        chips: Neuron devices.
        vcpus: None where it is not published; ``ram_bytes`` likewise.
        network_bits_per_s: Between instances (EFA); None where it is not published.
        device_numa: The NUMA node of each device; empty where it is not published.
        numa_cpus: The CPUs of each NUMA node, by its number; empty where they are not published.
        unverified: What is given without AWS's word for it, by attribute, and why; the key
            ``instance`` stands for all of it.
    """

    type: str
    chip: Chip
    chips: int
    topology: Literal["single", "ring", "torus", "switch"]
    link_bytes_per_s: float
    vcpus: int | None
    ram_bytes: int | None
    network_bits_per_s: float | None
    device_numa: tuple[int, ...]
    numa_cpus: tuple[CoreRange, ...]
    unverified: Mapping[str, str]

    @property
    def hbm_bytes(self) -> int:
        return self.chips * self.chip.hbm_bytes

    def cores(self, lnc: int) -> int:
        """Return how many logical cores the instance has."""
        return self.chips * self.chip.cores(lnc)
