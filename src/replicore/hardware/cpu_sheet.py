"""What the cores of a CPU can do, by measurement, where no data sheet tells. Pure.

Cores share the memory's bandwidth, and often their clock: so what one of them has depends on how
many are busy.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from replicore.hardware.device import Device
from replicore.hardware.machine import Machine

# A server's core of recent years, and how many of them its memory keeps busy.
_GUESSED_BYTES_PER_S = 12e9
_GUESSED_FLOPS = 60e9
_GUESSED_BUSY = 8
_GUESSED_LINK_BYTES_PER_S = 5e9
_GUESSED_LINK_LATENCY_S = 10e-6

_NO_WORD = re.compile(r"[^a-z0-9]+")
# What makers put into a name that tells no processor from another.
_NOISE = re.compile(r"\((r|tm)\)|\bcpu\b|\bprocessor\b|\b\d+-core\b|@.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSheet:
    """What was measured of a CPU.

    Attributes:
        key: Short name in lower case, such as ``cpu-amd-epyc-9354``; calibrations are filed under
            it.
        cores: That may be busy at once.
        busy: How many cores were, at each measurement, ascending; the first is 1.
        bytes_per_s: Read from memory by all of them together, shape (busy,).
        flops: 32-bit operations a second of all of them together, shape (busy,).
        link_bytes_per_s: Of an all-reduce in shared memory, between the ranks of a ring.
        link_latency_s: Of a small one, for each doubling of the ranks.
        measured_on: Day, such as ``2026-11-23``; empty where it is guessed.
        source: Where the numbers are from, for people.
    """

    key: str
    name: str
    cores: int
    busy: tuple[int, ...]
    bytes_per_s: tuple[float, ...]
    flops: tuple[float, ...]
    link_bytes_per_s: float
    link_latency_s: float
    measured_on: str = ""
    source: str = ""

    def device(self, busy: int) -> Device:
        """Return what one core has while ``busy`` of them are busy, at least 1."""
        flops = _between(self.busy, self.flops, busy) / busy
        return Device(
            key=self.key,
            name=self.name,
            kind="cpu",
            cores=self.cores,
            memory_bytes=None,
            bytes_per_s=_between(self.busy, self.bytes_per_s, busy) / busy,
            flops_16=flops,
            flops_8=flops,
            flops_4=flops,
            link_bytes_per_s=self.link_bytes_per_s,
            source=self.source,
        )


def _between(busy: Sequence[int], rates: Sequence[float], wanted: int) -> float:
    """Return the rate of ``wanted`` busy cores, on the line between those that were measured."""
    if wanted >= busy[-1]:
        return rates[-1]
    above = max(1, bisect_left(busy, wanted))
    low, high = busy[above - 1], busy[above]
    part = (wanted - low) / (high - low)
    return rates[above - 1] + part * (rates[above] - rates[above - 1])


def sheet_key(name: str) -> str:
    """Return the key of a processor's own name.

    >>> sheet_key("AMD EPYC 9354 32-Core Processor"), sheet_key("Intel(R) Xeon(R) CPU @ 2.20GHz")
    ('cpu-amd-epyc-9354', 'cpu-intel-xeon')
    """
    words = _NO_WORD.sub("-", _NOISE.sub(" ", name).lower()).strip("-")
    return f"cpu-{words}" if words and words != "cpu" else "cpu"


def guessed_sheet(machine: Machine) -> CpuSheet:
    """Return a sheet of a machine of which nothing was measured."""
    busy = sorted({1, min(_GUESSED_BUSY, machine.core_limit), machine.core_limit})
    return CpuSheet(
        key=sheet_key(machine.name),
        name=machine.name,
        cores=machine.core_limit,
        busy=tuple(busy),
        bytes_per_s=tuple(_GUESSED_BYTES_PER_S * min(n, _GUESSED_BUSY) for n in busy),
        flops=tuple(_GUESSED_FLOPS * n for n in busy),
        link_bytes_per_s=_GUESSED_LINK_BYTES_PER_S,
        link_latency_s=_GUESSED_LINK_LATENCY_S,
        source="guessed, not measured; `replicore tune` measures it",
    )
