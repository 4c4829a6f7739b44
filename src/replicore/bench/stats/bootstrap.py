"""Resampling of correlated series in blocks. Pure."""

from __future__ import annotations

import numpy as np

from replicore.bench.stats.arrays import Ints


def moving_blocks(count: int, block: int, rng: np.random.Generator) -> Ints:
    """Return the positions of one resample, ``(count,)``: blocks of neighbours, drawn anew.

    Values that lie closer than a block keep their dependence.

    Source: Künsch 1989, The jackknife and the bootstrap for general stationary observations.
    """
    block = min(block, count)
    blocks = -(-count // block)
    starts = rng.integers(0, count - block + 1, blocks)
    return np.asarray((starts[:, None] + np.arange(block)).ravel()[:count], dtype=np.int64)
