"""What a core can do, by how many others work. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from replicore.hardware.device import Device


class Sheet(Protocol):
    """The data sheets of a machine's cores."""

    def device(self, busy: int) -> Device:
        """Return the data sheet of one core of a replica while replicas work on ``busy`` cores.

        Cores that share a memory have the less of its bandwidth the more of them are busy.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCores:
    """Cores that each have their own memory: they make no difference to one another.

    Attributes:
        count: Of the machine. Replicas on more cores than there are share them evenly.
    """

    core: Device
    count: int

    def device(self, busy: int) -> Device:
        sharers = -(-busy // self.count)
        return self.core if sharers <= 1 else _part(self.core, sharers)


def _part(core: Device, sharers: int) -> Device:
    return replace(
        core,
        bytes_per_s=core.bytes_per_s / sharers,
        flops_16=core.flops_16 / sharers,
        flops_8=core.flops_8 / sharers,
        flops_4=core.flops_4 / sharers,
        link_bytes_per_s=core.link_bytes_per_s / sharers,
    )
