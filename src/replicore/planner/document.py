"""A plan as a JSON document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from replicore.planner.fleet import Fleet
from replicore.planner.memory.rank import RankMemory
from replicore.planner.plan import Forecast, Outcome, Plan, Service
from replicore.planner.question import Question
from replicore.planner.whatif import WhatIf

SCHEMA = "replicore-plan/1"
WHAT_IF_SCHEMA = "replicore-what-if/1"

Fields = dict[str, object]


def plan_document(plan: Plan) -> Fields:
    """Return the document: times in seconds, memory in bytes, the best layout first."""
    return {
        "schema": SCHEMA,
        "name": plan.question.name,
        "question": _question(plan.question),
        "recommendation": plan.reason,
        "feasible": plan.feasible,
        "best": _outcome(plan.best) if plan.best is not None else None,
        "layouts": [_outcome(each) for each in plan.outcomes],
        "changes": [{"change": each.what, "layout": each.size} for each in plan.changes],
        "calibrated_from": plan.calibrated_from,
    }


def fleet_document(fleet: Fleet) -> Fields:
    """Return a fleet: with all replicas, and after a failure."""
    return {
        "machines": fleet.machines,
        "layout": f"{fleet.machine_replicas}x{fleet.tp}x{fleet.batch_size}",
        "replicas": fleet.replicas,
        "needed": fleet.needed,
        "lost": fleet.lost,
        "service": _service(fleet.service),
        "after_failure": _service(fleet.after),
    }


def what_if_document(found: WhatIf) -> Fields:
    """Return a measured layout and the one that was predicted from it."""
    return {
        "schema": WHAT_IF_SCHEMA,
        "measured": {
            "layout": found.layout.size,
            "source": found.measured.source,
            "ttft_s": found.measured.ttft_s,
            "tpot_s": found.measured.tpot_s,
            "tokens_per_s": _number(found.tokens_per_s),
            "model_ttft_s": _number(found.model_ttft_s),
            "model_tpot_s": _number(found.model_tpot_s),
        },
        "predicted": _outcome(found.after),
        "without_measurement": _outcome(found.before),
    }


def _question(question: Question) -> Fields:
    device = question.cores.sheet.device(question.cores.count)
    return {
        "model": question.model,
        "parameters": question.anatomy.parameters,
        "engine": question.engine,
        "machine": question.cores.machine,
        "cores": question.cores.count,
        "device": {"key": device.key, "name": device.name, "source": device.source},
        "max_model_len": question.max_model_len,
        "input_tokens": asdict(question.input_tokens),
        "output_tokens": asdict(question.output_tokens),
        "slo": asdict(question.slo),
        "load": asdict(question.load),
        "risk": question.risk,
    }


def _outcome(outcome: Outcome) -> Fields:
    return {
        "layout": outcome.size,
        "replicas": outcome.replicas,
        "tp": outcome.tp,
        "batch_size": outcome.batch_size,
        "refusal": outcome.refusal or None,
        "memory": _memory(outcome.memory) if outcome.memory is not None else None,
        "service": _service(outcome.service) if outcome.service is not None else None,
    }


def _memory(memory: RankMemory) -> Fields:
    return {**asdict(memory), "left": memory.left, "kv_tokens": memory.kv_tokens}


def _service(service: Service) -> Fields:
    return {
        "ttft_s": _forecast(service.ttft_s),
        "tpot_s": _forecast(service.tpot_s),
        "ttft_p99_s": _forecast(service.ttft_p99_s),
        "tpot_p99_s": _forecast(service.tpot_p99_s),
        "replica_tokens_per_s": _forecast(service.replica_tokens_per_s),
        "tokens_per_s": _forecast(service.tokens_per_s),
        "goodput_per_s": _number(service.goodput_per_s),
        "running": _number(service.running),
        "utilisation": _number(service.utilisation),
        "shares": _shares(service.shares),
        "tpot_shares": _shares(service.tpot_shares),
        "ttft_shares": _shares(service.ttft_shares),
        "binding": service.binding,
        "meets": _number(service.meets),
        "beyond": list(service.beyond),
        "notes": list(service.notes),
    }


def _forecast(forecast: Forecast | None) -> Fields | None:
    if forecast is None:
        return None
    return {name: _number(value) for name, value in asdict(forecast).items()}


def _shares(shares: Mapping[str, float]) -> dict[str, float]:
    return {cost: round(part, 4) for cost, part in shares.items()}


def _number(value: float) -> float:
    """Return a predicted number without digits that nobody can predict."""
    return float(f"{value:.6g}")
