"""Which tensor-parallel degrees an instance type supports. Pure.

AWS lists the degrees of each platform; ranks of one replica must form a group that the links
between the chips can carry. What AWS's own pages and samples disagree about is *unverified*: it is
taken when a spec asks for it, and never chosen.

Source: SDK libraries/nxd-inference/api-guides/api-guide.rst.
"""

from __future__ import annotations

from replicore.hardware.neuron.instance import Chip


def documented_tp(chip: Chip, cores: int) -> tuple[int, ...]:
    """Return the degrees that AWS documents, as far as ``cores`` go, ascending."""
    return tuple(tp for tp in chip.tp if tp <= cores)


def unverified_tp(chip: Chip, cores: int) -> tuple[int, ...]:
    """Return the degrees that may work, as far as ``cores`` go, ascending."""
    return tuple(tp for tp in sorted(chip.unverified_tp) if tp <= cores)
