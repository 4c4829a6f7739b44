"""The terms of TTFT and TPOT where a batch is compiled in. Pure.

A decode step is one graph: it reads all weights and the whole KV cache of ``batch_size`` sequences
of ``max_model_len`` tokens, whoever is there. Prompts run alone, one at a time and first, and
nobody decodes meanwhile. Symbols: B slots, C compiled length, S prompt, O output, n in flight.

The vectors are in the order of ``terms.TPOT_TERMS`` and ``terms.TTFT_TERMS``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from replicore.planner.step.compiled import compiled_anatomy, prefilled_anatomy, selected_parameters
from replicore.planner.step.replica import Replica, ReplicaCost, StaticBatch
from replicore.planner.step.traffic import Case

# Of a layer: its kernels and two collectives, before a calibration says otherwise.
_LAUNCH_S = 50e-6
_HOP_S = 10e-6

# What a server does between two steps: of each slot, and of the step. Where batches are run by
# themselves nobody does.
_SEQUENCE_S = 10e-6
_SERVER_S = 1e-3

# A layer with experts starts the router and the experts' kernels besides.
_EXPERT_LAUNCHES = 1

# Softmax takes a row of scores in passes, one element per lane and cycle; rows are on 128 lanes.
_SCORE_S = 2 / 1.4e9
_LANES = 128

# A prompt's tokens go through every expert, most of them with weight 0, and are summed up again:
# twice what dense layers take for as many products.
_EXPERT_PROMPT = 2.0

Terms = tuple[float, ...]


class StaticCost:
    """The costs of a replica with a static batch; none of them depends on the load."""

    def __init__(self, replica: Replica, static: StaticBatch) -> None:
        anatomy = compiled_anatomy(replica.anatomy, replica.tp)
        cost = ReplicaCost(replace(replica, anatomy=anatomy))
        slots, length = static.batch_size, static.max_model_len
        experts = anatomy.experts
        launches = anatomy.layers + (_EXPERT_LAUNCHES * experts.layers if experts else 0)
        selected = selected_parameters(anatomy, replica.tp) * _expert_bytes(replica)
        # Slots that choose the same expert load it once each.
        selected_s = (slots - 1) * selected / replica.device.bytes_per_s
        rows = max(1.0, slots * anatomy.heads / replica.tp / _LANES)
        self.weights_s = cost.weights_s(1) + selected_s
        self.kv_s = cost.kv_s(slots, length)
        self.scores_s = anatomy.attention_layers * anatomy.attended_tokens(length) * rows * _SCORE_S
        self.products_s = cost.compute_s(slots)
        self.launch_s = launches * _LAUNCH_S
        self.hops_s = launches * cost.doublings * _HOP_S
        self.transfer_s = cost.transfer_s
        self._prefill = ReplicaCost(replace(replica, anatomy=prefilled_anatomy(anatomy)))
        self._prefill_factor = _EXPERT_PROMPT if experts else 1.0

    def prompt_s(self, tokens: float) -> float:
        """Return the seconds of a prompt's arithmetic."""
        return self._prefill_factor * self._prefill.prompt_s(tokens)


def _expert_bytes(replica: Replica) -> float:
    """Return the bytes of one of the experts' parameters."""
    return replica.anatomy.format_with(replica.precision.weight_bytes).bytes_of("experts")


@lru_cache(maxsize=4096)
def static_cost(replica: Replica, static: StaticBatch) -> StaticCost:
    """Return the costs of a replica, worked out once."""
    return StaticCost(replica, static)


def compiled_prompt(static: StaticBatch, input_tokens: float) -> float:
    """Return the tokens that a prompt is worked through as."""
    return max(input_tokens, static.prompt_tokens or 0)


def decoding(case: Case, static: StaticBatch) -> float:
    """Return how many slots are taken."""
    return min(case.traffic.concurrency, static.batch_size)


def tpot_terms(case: Case, static: StaticBatch) -> Terms:
    """Return the terms of TPOT.

    While a sequence decodes, each of the others that are in flight ends once and is followed by a
    prompt, for which it waits: (n - 1) / O prompts per step. A batch that begins together ends so.
    """
    cost, traffic = static_cost(case.replica, static), case.traffic
    others = 0.0 if static.together else max(0.0, decoding(case, static) - 1)
    prompts = others / traffic.output_tokens
    prompt = compiled_prompt(static, traffic.input_tokens)
    return (
        cost.weights_s,
        cost.kv_s,
        cost.scores_s + cost.products_s,
        prompts * cost.prompt_s(prompt),
        cost.launch_s,
        cost.hops_s,
        cost.transfer_s(static.batch_size + prompts * prompt),
        0.0 if static.together else static.batch_size * _SEQUENCE_S,
        0.0 if static.together else _SERVER_S,
    )


def ttft_terms(case: Case, tpot_s: float, static: StaticBatch) -> Terms:
    """Return the terms of TTFT in a closed loop.

    A batch that begins together has its first tokens when all of its prompts are done. Otherwise
    a request waits for the step that runs, and for half of the prompts that came with its own.

    Args:
        tpot_s: Predicted, or measured where a calibration is fitted.
    """
    cost, traffic, taken = static_cost(case.replica, static), case.traffic, decoding(case, static)
    tokens = compiled_prompt(static, traffic.input_tokens)
    prompts = taken if static.together else 1.0
    prompt = cost.prompt_s(tokens)
    waiting = 0.0 if static.together else (taken - 1) / 2
    queued = traffic.concurrency / taken - 1
    return (
        1e-2,
        prompts * prompt,
        prompts * cost.transfer_s(tokens),
        cost.launch_s,
        cost.hops_s,
        0.0,
        waiting * prompt,
        0.0,
        0.0 if static.together else tpot_s,
        0.0,
        queued * traffic.output_tokens * tpot_s,
    )
