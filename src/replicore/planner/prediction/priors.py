"""What is believed of the factors before anything was measured, and how firmly. Pure.

Written down from data sheets and from what engines usually reach: three quarters of the memory's
bandwidth, half of the peak in matrix products, some 30 us for a layer's launches. The standard
deviations are those of logarithms: 0.7 is a factor of two either way.

Spreads and kernels are what ``python -m benchmarks.planner.choose`` found on half of the published
rows, rounded: on the dense ones, and on the others how many times larger their residuals are. The
deployment's deviation is larger than it found: there are few dense models among the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replicore.planner.prediction.fit import Array, Factors, prior_factors
from replicore.planner.prediction.residual import Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What the fit of one time starts from.

    Attributes:
        factors: Of any engine on any device.
        own_log_sd: How far those of one engine on one device may be from what all have in common.
        spread: Of measurements around a fit, as a logarithm.
        kernel: Of what the fit leaves over.
        least: What no factor can be below, in the order of the terms; None: 0 for all.
    """

    factors: Factors
    own_log_sd: Array
    spread: float
    kernel: Kernel
    least: Array | None = None


# For each term: factor, its standard deviation over all engines and devices, and within one.
_Table = dict[str, tuple[float, float, float]]

_TPOT: _Table = {
    "weights": (1.3, 0.3, 0.3),
    "kv": (1.3, 0.4, 0.4),
    "compute": (2.0, 0.7, 0.7),
    "prefill": (2.0, 0.7, 0.7),
    "launch": (3.0, 0.7, 0.7),
    "hops": (1.0, 0.7, 0.7),
    "transfer": (1.5, 0.7, 0.7),
    "sequences": (3.0, 1.5, 1.5),
    "fixed": (0.5, 1.0, 1.0),
}
_TTFT: _Table = {
    "fixed": (1.0, 1.0, 1.0),
    "prompt": (1.7, 0.5, 0.5),
    "transfer": (1.5, 0.7, 0.7),
    "launch": (1.0, 1.0, 1.0),
    "hops": (0.3, 1.0, 1.0),
    "overlap": (0.3, 1.0, 1.0),
    "burst": (0.7, 1.0, 1.0),
    "turn": (0.02, 0.3, 2.5),
    "step": (1.0, 0.5, 0.5),
    "steps": (0.5, 0.7, 0.7),
    "queue": (1.0, 0.15, 0.15),
}


# Terms of which nothing hides anything: prompts cannot be worked through faster than at the peak.
# Published rows in which they seem to be had them in a prefix cache.
_BOUND = ("prefill", "prompt")


def _prior(table: _Table, *, spread: float, kernel: Kernel) -> Prior:
    values, common, own = (np.array(column) for column in zip(*table.values(), strict=True))
    factors = prior_factors(values, common)
    least = np.array([float(term in _BOUND) for term in table])
    return Prior(factors=factors, own_log_sd=own, spread=spread, kernel=kernel, least=least)


# Reaches are in the order of FEATURES: tp, concurrency, input, output, parameters, weight bytes.
TPOT = _prior(
    _TPOT,
    spread=0.08,
    kernel=Kernel(
        reach=(1.4, 2.0, 1.4, 3.0, 4.0, 1.4),
        local=0.1,
        shared=0.5,
        deployment=0.1,
        noise=0.02,
        experts=2.5,
    ),
)
TTFT = _prior(
    _TTFT,
    spread=0.4,
    kernel=Kernel(
        reach=(2.0, 2.0, 2.8, 3.0, 2.8, 0.7),
        local=0.3,
        shared=0.2,
        deployment=0.3,
        noise=0.04,
        experts=1.4,
    ),
)
