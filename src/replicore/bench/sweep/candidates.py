"""Which layouts ``auto`` stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replicore.bench.sweep.plan import SweptLayout

# An idle tenth of a machine is a price that a layout may have; an idle third is another machine.
_BUSY_PART = 0.9
_MOST = 8


def choose_layouts(replicas_that_fit: Mapping[int, int]) -> tuple[SweptLayout, ...]:
    """Return the layouts worth measuring: those that leave almost no core idle.

    Of more than eight, those whose tp is a power of two, and the largest. Most replicas first.

    Args:
        replicas_that_fit: How many replicas of each legal tp the machine holds; 0 for none.

    >>> [str(one) for one in choose_layouts({1: 2, 2: 1})]
    ['2x1', '1x2']
    >>> [str(one) for one in choose_layouts({1: 6, 2: 3, 3: 2, 4: 1, 5: 1, 6: 1})]
    ['6x1', '3x2', '2x3', '1x6']
    """
    used = {tp: replicas * tp for tp, replicas in replicas_that_fit.items()}
    enough = _BUSY_PART * max(used.values(), default=0)
    chosen = [tp for tp in sorted(used) if replicas_that_fit[tp] and used[tp] >= enough]
    return tuple(SweptLayout(replicas_that_fit[tp], tp) for tp in _thinned(chosen))


def _thinned(degrees: Sequence[int]) -> Sequence[int]:
    if len(degrees) <= _MOST:
        return degrees
    return [tp for tp in degrees if tp & (tp - 1) == 0 or tp == degrees[-1]]
