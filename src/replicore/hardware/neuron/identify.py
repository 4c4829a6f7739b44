"""Which instance type, or at least which chip, the devices found are of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicore.hardware.neuron.catalogue import chips, instances
from replicore.hardware.neuron.instance import Chip, Instance

# Of one chip; a switch joins it to all the others.
_NEIGHBOURS = {"single": 0, "ring": 2, "torus": 4, "switch": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the devices are.

    Attributes:
        name: The instance type, or the chip's name where that is not known.
        instance: None for a type that the catalogue does not have.
    """

    name: str
    chip: Chip
    instance: Instance | None = None


def by_type(types: Iterable[str | None]) -> Identity | None:
    """Return what the first of these instance types is that is known, or whose family is."""
    for name in filter(None, types):
        if name in instances():
            instance = instances()[name]
            return Identity(name=name, chip=instance.chip, instance=instance)
        family = name.partition(".")[0]
        for chip in chips():
            # "trn2u" is a kind of trn2.
            if family.rstrip("abcdefghijklmnopqrstuvwxyz") == chip.platform:
                return Identity(name=name, chip=chip)
    return None


def by_chip(chip: Chip | None) -> Identity | None:
    """Return what is known by the chip alone."""
    return None if chip is None else Identity(name=chip.name, chip=chip)


def by_numbers(*, memory_bytes: int, physical_cores: int | None, links: int) -> Identity | None:
    """Return what has devices of this memory, these cores and these links, as far as that tells.

    The cores are those of one device; None where it is not known how many each logical one has.
    Inferentia2 and Trainium1 have equal numbers but for their links, and in the smallest instances
    neither has any. Then the chip with fewer legal degrees is taken: the other supports those too.
    """
    alike = [
        chip
        for chip in chips()
        if chip.hbm_bytes == memory_bytes and physical_cores in (None, chip.physical_cores)
    ]
    linked = [chip for chip in alike if links in _links(chip)] or alike
    if not linked:
        return None
    strictest = min(linked, key=lambda chip: len(chip.tp + tuple(chip.unverified_tp)))
    return Identity(name=" or ".join(chip.name for chip in linked), chip=strictest)


def _links(chip: Chip) -> set[int]:
    """Return how many other chips one is linked to, in the instances that have it."""
    return {_NEIGHBOURS[i.topology] for i in instances().values() if i.chip is chip}
