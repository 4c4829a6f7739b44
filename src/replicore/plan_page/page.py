"""The page of a plan: the recommendation, every layout in charts, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.bench.report.html_tables import facts
from replicore.bench.report.markup import Markup, html_table, joined, note_list, tag
from replicore.bench.report.shell import Section, page_shell
from replicore.plan_page.columns import cost_chart, memory_chart
from replicore.plan_page.picks import Runnable, best_of_each_tp, front, refused, runnable
from replicore.plan_page.scatter import HOW_TO_READ, scatters
from replicore.plan_page.tables import (
    all_layouts,
    cost_table,
    layouts_table,
    memory_table,
    question_table,
    refused_table,
)
from replicore.plan_page.trust import warnings
from replicore.planner.plan import Outcome, Plan

_WORDS = (
    ("layout", "replicas x tp x batch size; tp is the cores of a replica"),
    ("TTFT", "time to first token, the mean; waiting for a slot is in it"),
    ("TPOT", "mean time per output token after the first"),
    ("p99", "what 99 % of the requests are within"),
    ("each", "output tokens per second of one replica"),
    ("goodput", "requests per second that are within every limit"),
    ("busy", "share of what the layout can do at most"),
    ("mostly", "the largest share of a request's time, and how much of it"),
    ("meets", "probability that every limit is kept"),
    ("intervals", "80 %: of ten layouts that are measured, eight should be within"),
)


def plan_page(plan: Plan, *, command: str = "") -> str:
    """Return the page; it needs no other file and no network.

    Args:
        command: What made the plan, for whoever wants to repeat it.
    """
    question = plan.question
    sections = (
        *_layouts(plan),
        *_columns(plan),
        *_changes(plan),
        *_refused(plan),
        _question(plan, command),
    )
    return page_shell(
        f"Plan for {question.model}",
        sections,
        subtitle=f"{question.cores.machine} · {question.engine}",
        lead=joined((_recommendation(plan), note_list(warnings(plan)))),
    )


def _recommendation(plan: Plan) -> Markup:
    tone = "bad" if plan.best is None else "good" if plan.feasible else "warn"
    head = "no layout" if plan.best is None else _described(plan.best)
    return tag("div", tag("strong", head), tag("div", plan.reason), class_=f"verdict {tone}")


def _described(best: Outcome) -> str:
    return f"{best.replicas} x tp {best.tp}, batch size {best.batch_size}"


def _layouts(plan: Plan) -> Iterator[Section]:
    found = runnable(plan)
    untold = all(one.service.ttft_s is None for one in found)
    if found:
        yield Section(
            title="Layouts",
            note=f"{HOW_TO_READ}{' All are too busy for a TTFT to be told.' if untold else ''}",
            body=[*scatters(plan), layouts_table(plan, _worth_a_row(plan)), all_layouts(plan)],
        )


def _worth_a_row(plan: Plan) -> list[Runnable]:
    """Return the pick, the best of each tp and the fronts, in the plan's order."""
    found = runnable(plan)
    kept = [
        *best_of_each_tp(plan),
        *front(found, lambda service: service.ttft_s),
        *front(found, lambda service: service.tpot_s),
    ]
    sizes = {one.outcome.size for one in kept}
    return [one for one in found if one.outcome.size in sizes or one.outcome == plan.best]


def _columns(plan: Plan) -> Iterator[Section]:
    if charts := [*memory_chart(plan), *cost_chart(plan)]:
        tables = [memory_table(plan), *([cost_table(plan)] if runnable(plan) else [])]
        yield Section(title="Memory and costs", body=[*charts, *tables])


def _changes(plan: Plan) -> Iterator[Section]:
    if plan.changes:
        rows = ((change.what, change.size or "no layout") for change in plan.changes)
        table = html_table(("if", "best is"), rows, texts=True)
        yield Section(title="What would change it", body=[table])


def _refused(plan: Plan) -> Iterator[Section]:
    if refused(plan):
        yield Section(title="Layouts that cannot be run", body=[refused_table(plan)])


def _question(plan: Plan, command: str) -> Section:
    repeat = [tag("pre", command)] if command else []
    body = [*repeat, question_table(plan.question), tag("h3", "Words"), facts(dict(_WORDS))]
    return Section(title="What was asked", body=body)
