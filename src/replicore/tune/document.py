"""A tuning as one JSON document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from replicore.tune.belief import Belief, Candidate
from replicore.tune.said import economy, error_of, headline, notes
from replicore.tune.tuned import Trial, Tuned

SCHEMA = "replicore-tune/1"


def tune_document(tuned: Tuned, **more: object) -> bytes:
    """Return the document: the layout to use, the runs, and what is believed of the others.

    Times are in seconds, rates per second; the intervals of predictions hold in 80 % of cases.

    Args:
        more: Further fields, such as the command.
    """
    fields = {
        "schema": SCHEMA,
        **more,
        "verdict": headline(tuned),
        "notes": [economy(tuned), *notes(tuned)],
        "layout": _layout(tuned.belief),
        "end": tuned.stop.end.value,
        "why": tuned.stop.why,
        "simulated": tuned.simulated,
        "runs": [_run(trial) for trial in tuned.trials],
        "layouts": [_candidate(one) for one in _candidates(tuned.belief)],
        "failed": tuned.failed,
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"


def _layout(belief: Belief | None) -> Mapping[str, object] | None:
    best = None if belief is None else belief.proven
    if best is None:
        return None
    one = best.outcome
    return {
        "size": one.size,
        "replicas": one.replicas,
        "tp": one.tp,
        "batch_size": one.batch_size,
        "output_tokens_per_s": best.tokens_per_s,
    }


def _candidates(belief: Belief | None) -> Sequence[Candidate]:
    return () if belief is None else belief.candidates


def _candidate(one: Candidate) -> Mapping[str, object]:
    return {"size": one.size, "measured": one.measured is not None, "predicted": _predicted(one)}


def _predicted(one: Candidate) -> Mapping[str, object]:
    service = one.service
    return {
        "output_tokens_per_s": service.tokens_per_s,
        "ttft_s": service.ttft_s,
        "tpot_s": service.tpot_s,
        "meets_objectives": service.meets,
        "shares": service.shares,
    }


def _run(trial: Trial) -> Mapping[str, object]:
    cell, service = trial.cell, trial.predicted.service
    return {
        "size": cell.layout,
        "concurrency": cell.concurrency,
        "requests": cell.requests,
        "errors": cell.errors,
        "ready_s": cell.ready_s,
        "predicted": _predicted(trial.predicted),
        "measured": {
            "output_tokens_per_s": cell.rate,
            "ttft_s": cell.ttft_s.mean,
            "tpot_s": cell.tpot_s.mean,
            "meets_objectives": cell.meets,
            "attained": cell.attained,
        },
        "error": {
            "output_tokens_per_s": error_of(cell.rate, service.tokens_per_s),
            "ttft_s": error_of(cell.ttft_s.mean, service.ttft_s),
            "tpot_s": error_of(cell.tpot_s.mean, service.tpot_s),
        },
        "verdicts": cell.verdicts,
    }
