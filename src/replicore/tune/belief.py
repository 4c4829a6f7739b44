"""What is believed of a spec's layouts after some of them were measured. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from replicore.bench.sweep.cells import Cell
from replicore.bench.sweep.plan import SweptLayout
from replicore.errors import ConfigError
from replicore.planner.choose import Choice, NextRun, Prospects, choose, next_run
from replicore.planner.plan import Outcome, Plan, Service
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.prediction.calibration import Key
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Degree, Question
from replicore.planner.recommend import answer_of
from replicore.planner.step.traffic import Case, Observation, Traffic
from replicore.tune.refit import learnt


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A layout that can be deployed here.

    Attributes:
        service: What it is predicted to do, its own measurement taken into account.
        measured: What it did; None where it was not run.
    """

    outcome: Outcome
    service: Service
    measured: Cell | None = None

    @property
    def size(self) -> str:
        """``4x16x2``: replicas x tp x batch_size."""
        return self.outcome.size

    @property
    def tokens_per_s(self) -> float:
        return self.service.tokens_per_s.value if self.measured is None else self.measured.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What is believed, and what follows from it.

    Attributes:
        candidates: In the order of the plan, at least one.
        choice: The place of the one to use, as far as is known.
        following: The place of the one to measure next; None where no run is worth it.
    """

    candidates: tuple[Candidate, ...]
    choice: Choice
    following: NextRun | None

    @property
    def pick(self) -> Candidate:
        return self.candidates[self.choice.index]

    @property
    def next(self) -> Candidate | None:
        return None if self.following is None else self.candidates[self.following.index]

    @property
    def proven(self) -> Candidate | None:
        """The best of those that were measured and met the limits; None without any."""
        met = [one for one in self.candidates if one.measured is not None and one.measured.meets]
        return max(met, key=lambda one: one.tokens_per_s, default=None)

    def of(self, size: str) -> Candidate | None:
        """Return the candidate of a size; None where it is none any more."""
        return next((one for one in self.candidates if one.size == size), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is to be found out.

    Attributes:
        start: What is known of engines and devices before the first run.
        given: Measurements of others that count besides.
        remembered: Former runs, which the factors of ``start`` know of already.
        sizes: Of the layouts that can be deployed.
    """

    question: Question
    start: Predictor
    sizes: Collection[str] = ()
    given: Sequence[Observation] = ()
    remembered: Sequence[Observation] = ()

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what is predicted of all layouts before the first run, the best first."""
        return answer_of(self.question, self.start).outcomes

    def refusal(self) -> str:
        """Return why the first layout that cannot be run cannot."""
        refused = (one for one in self.outcomes() if one.refusal)
        return next((f"{one.size}: {one.refusal}" for one in refused), "none fits this machine")

    def believe(self, cells: Sequence[Cell] = (), failed: Collection[str] = ()) -> Belief | None:
        """Return what is believed after these runs; None where nothing can be run.

        Args:
            cells: One for each layout that was measured.
            failed: Sizes of layouts that could not be started.
        """
        before = answer_of(self.question, self.start)
        known = [*self.given, *observations(cells, cases_of(before.outcomes))]
        after = (
            answer_of(self.question, learnt(self.start, known, self.remembered))
            if known
            else before
        )
        candidates = self._candidates(after, {cell.layout: cell for cell in cells}, failed)
        if not candidates:
            return None
        prospects = prospects_of(candidates)
        risk = self.question.risk
        return Belief(
            candidates=candidates,
            choice=choose(prospects, risk=risk),
            following=next_run(prospects, risk=risk),
        )

    def _candidates(
        self, found: Plan, cells: Mapping[str, Cell], failed: Collection[str]
    ) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(outcome=one, service=one.service, measured=cells.get(one.size))
            for one in found.outcomes
            if one.service is not None and one.size in self.sizes and one.size not in failed
        )


def key_of_question(question: Question) -> Key:
    """Return what calibrations of the question's engine and device are filed under."""
    return question.cores.sheet.device(1).key, question.engine


def cases_of(outcomes: Iterable[Outcome]) -> dict[str, Case]:
    """Return the case of each layout that can be run; the predictor does not matter to it."""
    services = ((one.size, one.service) for one in outcomes)
    return {size: service.case for size, service in services if service is not None}


def case_at(question: Question, layout: SweptLayout, traffic: Traffic) -> Case:
    """Return the case of any layout under any traffic, of one of its replicas.

    Raises:
        ConfigError: There is no such layout here; the message says why.
    """
    known = next((one for one in question.degrees if one.tp == layout.tp), None)
    if known is not None and known.refusal:
        raise ConfigError(f"{layout}: {known.refusal}")
    asked = replace(
        question,
        degrees=(Degree(tp=layout.tp, replicas=layout.replicas),),
        batch_sizes=(layout.batch_size or max(1, round(traffic.concurrency)),),
        replicas=layout.replicas,
    )
    (outcome, *_) = answer_of(asked, uncalibrated()).outcomes
    if outcome.service is None:
        raise ConfigError(f"{layout}: {outcome.refusal}")
    return replace(outcome.service.case, traffic=traffic)


def observations(cells: Sequence[Cell], cases: Mapping[str, Case]) -> list[Observation]:
    """Return what runs say to the planner; those without an answer say nothing."""
    return [
        Observation(
            case=cases[cell.layout],
            ttft_s=cell.ttft_s.mean,
            tpot_s=cell.tpot_s.mean,
            source=f"run of {cell.layout}",
        )
        for cell in cells
        if cell.layout in cases and cell.tpot_s.mean is not None
    ]


def prospects_of(candidates: Sequence[Candidate]) -> Prospects:
    """Return what is believed of the output rates; of a measured layout what was measured."""
    return Prospects(
        value=np.array([max(one.tokens_per_s, 1e-9) for one in candidates]),
        log_sd=np.array([one.service.log_sd for one in candidates]),
        meets=np.array([_meets(one) for one in candidates]),
        measured=np.array([one.measured is not None for one in candidates]),
    )


def _meets(one: Candidate) -> float:
    return one.service.meets if one.measured is None else float(one.measured.meets)
