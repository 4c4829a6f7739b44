"""The terms that TTFT and TPOT are sums of, in data-sheet seconds. Pure.

A calibration has a factor for each term: how many times longer than the data sheet's seconds it
takes. Terms add up rather than the largest hiding the others, since the layers of one step are
bound by memory and by arithmetic in turn.

Continuous batching, in steady state: of B sequences each gets a token per step, and S / O prompt
tokens for each of them are worked through in between.
"""

from __future__ import annotations

from functools import lru_cache
from math import log2

from replicore.planner.step import static_terms
from replicore.planner.step.replica import Replica, ReplicaCost
from replicore.planner.step.traffic import Case

# What launches, collectives and the host cost per unit before a calibration says otherwise.
_MICROSECONDS = 10e-6

# Engines that start a sequence only where the KV cache has room for all of its output.
_RESERVING = frozenset({"trtllm"})

# The terms with what each is, for people.
TPOT_MEANINGS = {
    "weights": "reading the weights, once a step",
    "kv": "reading the KV cache of all sequences",
    "compute": "arithmetic of one token of each sequence",
    "prefill": "others' prompts, worked through in between",
    "launch": "starting each layer's kernels",
    "hops": "latency of the collectives, each doubling of the tp",
    "transfer": "bytes of the collectives",
    "sequences": "the host, for each sequence",
    "fixed": "the host, for each step",
}
TPOT_TERMS = tuple(TPOT_MEANINGS)

TTFT_MEANINGS = {
    "fixed": "the host, for each request",
    "prompt": "arithmetic of the prompt",
    "transfer": "bytes of the collectives",
    "launch": "starting each layer's kernels",
    "hops": "latency of the collectives, each doubling of the tp",
    "overlap": "sharing steps with the others that run",
    "burst": "prompts that come together with this one",
    "turn": "waiting until another request ends",
    "step": "waiting for the step that runs",
    "steps": "waiting for further steps, the more run",
    "queue": "waiting for room in the KV cache or a slot",
}
TTFT_TERMS = tuple(TTFT_MEANINGS)

Terms = tuple[float, ...]


@lru_cache(maxsize=4096)
def cost_of(replica: Replica) -> ReplicaCost:
    """Return the costs of a replica, worked out once."""
    return ReplicaCost(replica)


def mean_context(case: Case) -> float:
    """Return the tokens that a sequence has in the KV cache, the mean over its decode steps."""
    return case.traffic.input_tokens + case.traffic.output_tokens / 2


def kv_sequences(case: Case) -> float | None:
    """Return how many sequences the KV cache holds at a time, the long-run mean; at least 1."""
    if case.replica.kv_tokens is None:
        return None
    whole = case.traffic.input_tokens + case.traffic.output_tokens
    held = whole if case.replica.engine in _RESERVING else mean_context(case)
    return max(1.0, case.replica.kv_tokens / held)


def running(case: Case) -> float:
    """Return the sequences that are worked on at a time."""
    room = kv_sequences(case)
    concurrency = case.traffic.concurrency
    return concurrency if room is None else min(concurrency, room)


@lru_cache(maxsize=8192)
def tpot_terms(case: Case) -> Terms:
    """Return the terms of TPOT, in the order of ``TPOT_TERMS``."""
    if case.replica.static is not None:
        return static_terms.tpot_terms(case, case.replica.static)
    cost, traffic, batch = cost_of(case.replica), case.traffic, running(case)
    # A sequence's own prompt does not come between its own tokens.
    prompts = max(0.0, batch - 1) / traffic.output_tokens
    layers = cost.layers * _MICROSECONDS
    tokens = batch + prompts * traffic.input_tokens
    return (
        cost.weights_s(batch),
        cost.kv_s(batch, mean_context(case)),
        cost.compute_s(batch),
        prompts * cost.prompt_s(traffic.input_tokens),
        layers,
        layers * cost.doublings,
        cost.transfer_s(tokens),
        batch * _MICROSECONDS,
        1e-3,
    )


def ttft_terms(case: Case, tpot_s: float) -> Terms:
    """Return the terms of TTFT in a closed loop, in the order of ``TTFT_TERMS``.

    Args:
        tpot_s: Predicted, or measured where a calibration is fitted.
    """
    if case.replica.static is not None:
        return static_terms.ttft_terms(case, tpot_s, case.replica.static)
    cost, traffic, batch = cost_of(case.replica), case.traffic, running(case)
    prompt = cost.prompt_s(traffic.input_tokens)
    layers = cost.layers * _MICROSECONDS
    decode = traffic.output_tokens * tpot_s
    concurrency = max(1.0, traffic.concurrency)
    return (
        1e-2,
        prompt,
        cost.transfer_s(traffic.input_tokens),
        10 * layers,
        10 * layers * cost.doublings,
        prompt * log2(max(1.0, batch)),
        prompt * batch / 16,
        # Who is alone waits for nobody.
        decode * (concurrency - 1) / concurrency**2,
        tpot_s * (1 + case.replica.wait_steps),
        tpot_s * log2(concurrency),
        (concurrency / batch - 1) * decode,
    )
