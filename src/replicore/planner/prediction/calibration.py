"""What measurements say of an engine on a device: the factors of the terms. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from replicore.planner.prediction.fit import Factors
from replicore.planner.prediction.residual import FEATURES, features
from replicore.planner.step.traffic import Case

# Device and engine. Engines work through experts by kernels of their own, which have their own
# calibrations: `vllm-experts`.
Key = tuple[str, str]
_EXPERTS = "-experts"

# How far beyond its limits a feature still counts as calibrated.
_TOLERANCE = 1.1


def key_of(case: Case) -> Key:
    replica = case.replica
    kernels = replica.engine if replica.anatomy.experts is None else replica.engine + _EXPERTS
    return replica.device.key, kernels


def is_of_experts(key: Key) -> bool:
    return key[1].endswith(_EXPERTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The factors of an engine on a device, and what they were fitted to.

    Attributes:
        tpot: Factors of ``TPOT_TERMS``.
        ttft: Factors of ``TTFT_TERMS``.
        tpot_log_sd: Standard deviation of the logarithm of measured over fitted TPOT.
        ttft_log_sd: The same of TTFT.
        rows: Measurements that they were fitted to.
        lowest: Of each of ``FEATURES`` among these; empty without any.
        highest: Likewise.
        source: Where the measurements are from, for people.
    """

    tpot: Factors
    ttft: Factors
    tpot_log_sd: float
    ttft_log_sd: float
    rows: int = 0
    lowest: tuple[float, ...] = ()
    highest: tuple[float, ...] = ()
    source: str = ""

    def beyond(self, case: Case) -> tuple[str, ...]:
        """Return the features in which a case is outside of what was measured."""
        if not self.rows:
            return FEATURES
        spans = zip(FEATURES, features(case), self.lowest, self.highest, strict=True)
        return tuple(
            name
            for name, value, low, high in spans
            if not low / _TOLERANCE <= value <= high * _TOLERANCE
        )
