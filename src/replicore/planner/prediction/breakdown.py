"""A predicted time as the sum that it is: seconds of the data sheet times factors. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replicore.planner.prediction.fit import Factors
from replicore.planner.prediction.predictor import Predictor, Times
from replicore.planner.step.terms import TPOT_MEANINGS, TTFT_MEANINGS, tpot_terms, ttft_terms
from replicore.planner.step.traffic import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of a time.

    Attributes:
        meaning: What it is, for people.
        sheet_s: By the data sheet.
        factor: How many times longer it takes by calibration.
        seconds: Both multiplied.
        share: Of the sum.
    """

    name: str
    meaning: str
    sheet_s: float
    factor: float
    seconds: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """TTFT or TPOT of a case.

    Attributes:
        terms: In the order of the model.
        correction: What measurements of cases like it multiply the sum by; 1 without any.
        total_s: The sum, corrected.
    """

    terms: tuple[Term, ...]
    correction: float
    total_s: float


def tpot_breakdown(case: Case, predictor: Predictor) -> Breakdown:
    factors = predictor.calibration(case).tpot
    return _broken_down(TPOT_MEANINGS, tpot_terms(case), factors, predictor.tpot([case]))


def ttft_breakdown(case: Case, predictor: Predictor) -> Breakdown:
    """Return TTFT in a closed loop of the case's concurrency."""
    tpot_s = predictor.tpot([case]).seconds
    factors = predictor.calibration(case).ttft
    terms = ttft_terms(case, float(tpot_s[0]))
    return _broken_down(TTFT_MEANINGS, terms, factors, predictor.ttft([case], tpot_s))


def _broken_down(
    meanings: Mapping[str, str], sheet: Sequence[float], factors: Factors, predicted: Times
) -> Breakdown:
    values = np.asarray(factors.values)
    seconds = np.array(sheet) * values
    total = float(seconds.sum())
    parts = zip(meanings.items(), sheet, values, seconds, strict=True)
    return Breakdown(
        terms=tuple(
            Term(
                name=name,
                meaning=meaning,
                sheet_s=float(least),
                factor=float(factor),
                seconds=float(part),
                share=float(part) / total,
            )
            for (name, meaning), least, factor, part in parts
        ),
        correction=float(predicted.seconds[0]) / total,
        total_s=float(predicted.seconds[0]),
    )
