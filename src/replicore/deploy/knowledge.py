"""What predictions about a spec start from."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from replicore.deploy.deployment import Prepared
from replicore.planner.files.load import load_predictor
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Question


def predictor_for(
    prepared: Prepared, question: Question, calibrations: Sequence[Path] = ()
) -> Predictor:
    """Return the predictor of a question.

    Args:
        calibrations: Files that go before those of the user's folder.

    Raises:
        ConfigError: A calibration cannot be read, or is wrong.
    """
    if prepared.spec.engine.kind != "sim":
        return load_predictor(calibrations)
    # the simulation is the gateway's routing too, which other plans do without
    record = import_module("replicore.deploy.simulated_record").simulated_record(prepared, question)
    return load_predictor(calibrations, known=[] if record is None else [record])
