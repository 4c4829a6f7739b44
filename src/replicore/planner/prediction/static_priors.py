"""What is believed of the factors where a batch is compiled in, before anything was measured. Pure.

Trainium and Inferentia reach three quarters of the memory's bandwidth and a quarter of the peak in
prompts; a server's host takes some 60 us of a step for each slot, as elsewhere. Their chips and
compiler are of one family, so a device's own factors stay close to those that all have in common.
For each term: factor, and the standard deviation of its logarithm.
"""

from __future__ import annotations

import numpy as np

from replicore.planner.prediction import priors
from replicore.planner.prediction.fit import prior_factors
from replicore.planner.prediction.priors import Prior
from replicore.planner.prediction.residual import Kernel

# How far one device's factors are from the common ones, of how far these are from the beliefs.
_OWN = 0.4

Table = dict[str, tuple[float, float]]

TPOT_TABLE: Table = {
    "weights": (1.35, 0.15),
    "kv": (1.5, 0.3),
    "compute": (2.0, 0.7),
    "prefill": (3.0, 0.7),
    "launch": (2.5, 0.5),
    "hops": (1.0, 0.5),
    "transfer": (1.5, 0.7),
    "sequences": (6.0, 1.2),
    "fixed": (0.5, 1.0),
}
TTFT_TABLE: Table = {
    "fixed": (1.0, 1.0),
    "prompt": (4.0, 0.5),
    "transfer": (1.5, 0.7),
    "launch": (2.5, 0.7),
    "hops": (1.0, 0.7),
    "overlap": (1.0, 0.1),  # no part of the model, as "turn" and "steps"
    "burst": (2.5, 0.7),
    "turn": (1.0, 0.1),
    "step": (1.0, 0.7),
    "steps": (1.0, 0.1),
    "queue": (1.0, 0.15),
}


def _prior(table: Table, *, spread: float, kernel: Kernel) -> Prior:
    values, log_sd = (np.array(column) for column in zip(*table.values(), strict=True))
    return Prior(
        factors=prior_factors(values, log_sd),
        own_log_sd=_OWN * log_sd,
        spread=spread,
        kernel=kernel,
    )


TPOT = _prior(TPOT_TABLE, spread=priors.TPOT.spread, kernel=priors.TPOT.kernel)
TTFT = _prior(TTFT_TABLE, spread=priors.TTFT.spread, kernel=priors.TTFT.kernel)
