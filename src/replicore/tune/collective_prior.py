"""What the measured all-reduce says of collectives, where no run has said anything yet. Pure.

Runs on one machine seldom tell the collectives apart from the rest of a step. Without a word on
them a fit may put their factor anywhere, and then a wrong tp is picked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from replicore.planner.prediction.calibration import Key
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.replica import COLLECTIVES_PER_LAYER
from replicore.planner.step.terms import TPOT_TERMS

# What the term counts for a layer and a doubling of the ranks.
_UNIT_S = 10e-6

# Engines wait for each other otherwise than the microbenchmark does.
_LOG_SD = 0.4

_HOPS = TPOT_TERMS.index("hops")


def with_collective(start: Predictor, key: Key, latency_s: float) -> Predictor:
    """Return a predictor whose collectives take as long as was measured.

    One that knows of runs of this engine on this device is left as it is.

    Args:
        latency_s: Of a small all-reduce between processes, for each doubling of the ranks.
    """
    if key in start.own:
        return start
    factors = start.common.tpot
    log, covariance = factors.log.copy(), factors.covariance.copy()
    log[_HOPS] = np.log(COLLECTIVES_PER_LAYER * latency_s / _UNIT_S)
    covariance[_HOPS, :] = covariance[:, _HOPS] = 0.0
    covariance[_HOPS, _HOPS] = _LOG_SD**2
    told = replace(start.common, tpot=replace(factors, log=log, covariance=covariance))
    return replace(start, own={**start.own, key: told})
