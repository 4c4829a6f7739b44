"""The calibration of a simulated device: runs of its own steps, in simulated time.

What ``engine.sim.profile`` promises is known to the last term, so nothing has to be measured on a
machine: one replica of each tp is simulated at a few loads, and predictions start from there as
they would from measurements.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from replicore.deploy.deployment import Prepared
from replicore.engines.sim.profiles import PROFILES, Profile, step_time
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.layouts import Layout
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.prediction.calibration import key_of
from replicore.planner.question import Question
from replicore.planner.serving.curves import case_of, replica_of
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import ClosedLoop, Requests, normal
from replicore.planner.simulate.model import FleetModel, ReplicaModel
from replicore.planner.simulate.summary import summarise
from replicore.planner.step.traffic import Observation

# Slots of the simulated replicas, all taken.
_SLOTS = (1, 4, 16, 32, 64)

# Requests for each slot, and at least; the first quarter of the time is a run's start.
_ROUNDS, _LEAST = 8, 40
_WARM_UP = 0.25

_SOURCE = "the profile's own steps, simulated"
_SEED = 1


def simulated_record(prepared: Prepared, question: Question) -> CalibrationRecord | None:
    """Return what is known of the simulated device; None where none is, or nothing fits on it."""
    profile = PROFILES.get(prepared.spec.engine.sim.profile or "")
    if profile is None:
        return None
    seen = tuple(_observed(prepared, question, profile, each) for each in _replicas(question))
    if not seen:
        return None
    key = key_of(seen[0].case)
    return CalibrationRecord(
        key=key,
        calibration=calibrate(seen, source=_SOURCE).own[key],
        made_on="",
        made_by="",
        observations=seen,
    )


def _replicas(question: Question) -> Iterator[Layout]:
    for degree in question.degrees:
        if degree.held and not degree.refusal:
            for slots in _SLOTS:
                yield Layout(replicas=1, tp=degree.tp, batch_size=slots)


def _observed(
    prepared: Prepared, question: Question, profile: Profile, layout: Layout
) -> Observation:
    """Return a run of one replica with as many users as slots."""
    sim, slots = prepared.spec.engine.sim, layout.batch_size
    steps = step_time(
        profile,
        prepared.model.shape,
        tp=layout.tp,
        batch_size=slots,
        max_model_len=question.max_model_len,
    )
    model = ReplicaModel(
        steps=steps.faster(sim.speed), slots=slots, batching=sim.batching or profile.batching
    )
    run = simulate(FleetModel(replicas=(model,)), ClosedLoop(slots), _requests(question, slots))
    last_s = float(run.arrival_s.max())
    found = summarise(run, after_s=_WARM_UP * last_s, until_s=last_s)
    return Observation(
        case=case_of(question, replica_of(question, layout), slots),
        ttft_s=found.ttft.mean,
        tpot_s=found.tpot.mean,
        source=_SOURCE,
    )


def _requests(question: Question, slots: int) -> Requests:
    count, rng = max(_LEAST, _ROUNDS * slots), np.random.default_rng(_SEED)
    inputs, outputs = question.input_tokens, question.output_tokens
    return Requests(
        input_tokens=normal(inputs.mean, inputs.stddev, count, rng),
        output_tokens=normal(outputs.mean, outputs.stddev, count, rng),
    )
