"""The tables of a plan's page: what its charts show, in numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replicore.bench.report.html_tables import facts
from replicore.bench.report.markup import Markup, html_table, joined, tag
from replicore.bench.report.words import decimal, milliseconds, percent
from replicore.plan_page.picks import (
    Refused,
    Runnable,
    best_of_each_tp,
    memories,
    refused,
    runnable,
)
from replicore.plan_page.words import (
    gib,
    probability,
    rate,
    rate_range,
    time_ms,
    time_range,
)
from replicore.planner.plan import COSTS, Plan
from replicore.planner.question import Lengths, Question
from replicore.wording import pluralize

_HEAD = ("layout", "cores", "output tok/s", "each", "TTFT ms", "TPOT ms")
_TAILS = ("TTFT p99 ms", "TPOT p99 ms", "goodput /s", "busy", "mostly", "GiB left")


def layouts_table(plan: Plan, shown: Sequence[Runnable]) -> Markup:
    """Return a row per layout, numbers over their 80 % intervals."""
    stated = plan.question.slo.stated
    head = (*_HEAD, *_TAILS, *(("meets",) if stated else ()))
    return html_table(head, (_cells(one, stated=stated) for one in shown))


def _cells(one: Runnable, *, stated: bool) -> Iterator[str]:
    outcome, service = one.outcome, one.service
    yield outcome.size
    yield str(outcome.cores)
    yield _over(rate(service.tokens_per_s), rate_range(service.tokens_per_s))
    yield rate(service.replica_tokens_per_s)
    for time in (service.ttft_s, service.tpot_s, service.ttft_p99_s, service.tpot_p99_s):
        yield _over(time_ms(time), time_range(time))
    yield decimal(service.goodput_per_s)
    yield percent(service.utilisation)
    yield _over(service.binding, percent(service.shares[service.binding]))
    yield "-" if outcome.memory is None else gib(outcome.memory.left)
    if stated:
        yield probability(service.meets)


def _over(value: str, under: str) -> Markup:
    return joined((value, tag("small", under))) if under else joined((value,))


def all_layouts(plan: Plan) -> Markup:
    """Return every layout that can be run, folded away."""
    found = runnable(plan)
    words = f"all {len(found):,} layouts that can be run, the best first"
    return tag("details", tag("summary", words), layouts_table(plan, found))


def memory_table(plan: Plan) -> Markup:
    """Return what fills the memory of one core, in GiB."""
    head = ("layout", "weights", "KV cache", "KV tokens", "activation", "overhead", "left", "of")
    rows = []
    for outcome in memories(plan):
        if (memory := outcome.memory) is not None:
            parts = map(gib, (memory.weights, max(0, memory.kv)))
            others = map(gib, (memory.activation, memory.overhead, memory.left, memory.capacity))
            rows.append((outcome.size, *parts, f"{memory.kv_tokens:,}", *others))
    return html_table(head, rows)


def cost_table(plan: Plan) -> Markup:
    """Return the share of each cost in a request's time, for the best layout of each tp."""
    rows = (
        (one.outcome.size, *(percent(one.service.shares[cost]) for cost in COSTS))
        for one in best_of_each_tp(plan)
    )
    return html_table(("layout", *COSTS), rows)


def refused_table(plan: Plan) -> Markup:
    """Return what cannot be run, a row for each tp."""
    rows = ((_which(one), f"{one.nearest.size}: {one.nearest.refusal}") for one in refused(plan))
    return html_table(("layouts", "why not, of the one that asks for least"), rows, texts=True)


def _which(found: Refused) -> str:
    if found.entirely:
        return f"tp {found.tp}, all"
    return f"tp {found.tp}, {pluralize(found.count, 'layout')}"


def question_table(question: Question) -> Markup:
    """Return what was asked."""
    slo, load = question.slo, question.load
    found = {
        "model": question.model,
        "engine": question.engine,
        "machine": f"{question.cores.machine}, {question.cores.count} cores",
        "prompt": _tokens(question.input_tokens),
        "output": _tokens(question.output_tokens),
        "longest sequence": f"{question.max_model_len:,} tokens",
        "load": "every slot has a request",
        "limits": "none",
        "routing": question.routing.replace("_", " "),
    }
    if load.concurrency is not None:
        found["load"] = f"{load.concurrency} requests at a time, each followed by another"
    if load.rate_per_s is not None:
        found["load"] = f"{decimal(load.rate_per_s)} requests a second, at random times"
    if slo.stated:
        limits = (("TTFT", slo.ttft_p99_s), ("TPOT", slo.tpot_p99_s))
        told = [f"{name} p99 {milliseconds(s)} ms" for name, s in limits if s is not None]
        found["limits"] = f"{', '.join(told)}; a risk of {percent(question.risk)} is accepted"
    return facts(found)


def _tokens(lengths: Lengths) -> str:
    spread = f" ± {decimal(lengths.stddev)}" if lengths.stddev else ""
    return f"{decimal(lengths.mean)}{spread} tokens"
