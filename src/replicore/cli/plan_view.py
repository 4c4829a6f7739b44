"""A plan on a terminal: the recommendation, the layouts, and what would change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicore.cli.console import print_line, report_console
from replicore.planner.advice import told_s
from replicore.planner.plan import Forecast, Outcome, Plan, Service
from replicore.planner.prediction.residual import FEATURES
from replicore.units import GIB

# Rows of the table unless all are asked for.
_ROWS = 12

# What is wide enough for the interval and the memory.
_WIDE = 96


def print_plan(plan: Plan, *, every: bool = False, console: Console | None = None) -> None:
    """Print a plan on stdout.

    Args:
        every: All layouts, also those that differ from a better one in their batch size only.
    """
    screen = console or report_console()
    print_line(screen, f"{plan.reason}\n", style="bold" if plan.feasible else "bold yellow")
    shown = [each for each in plan.outcomes if each.service is not None]
    if shown:
        rows = shown if every else list(_most_telling(plan, shown))
        screen.print(_table(plan, rows, wide=screen.width >= _WIDE))
        left = len(shown) - len(rows)
        if left:
            screen.print(Text(f"{left} more with --all", style="dim"))
    for line in (*_refused(plan), *_changes(plan), *_caveats(plan)):
        print_line(screen, line)


def _most_telling(plan: Plan, shown: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield the best of each replicas x tp, the spec's own, and what a change would make best."""
    named = {plan.question.own_size, *(change.size for change in plan.changes)}
    seen: set[tuple[int, int]] = set()
    for outcome in shown:
        size = (outcome.replicas, outcome.tp)
        if outcome.size in named or (size not in seen and len(seen) < _ROWS):
            seen.add(size)
            yield outcome


def _table(plan: Plan, rows: Iterable[Outcome], *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("layout", no_wrap=True)
    for name in ("output tok/s", "TTFT\nmean / p99", "TPOT ms\nmean / p99"):
        table.add_column(name, justify="right", no_wrap=True)
    if plan.question.slo.stated or plan.question.load.rate_per_s is not None:
        table.add_column("meets\nSLO", justify="right", no_wrap=True)
    if wide:
        table.add_column("core's GiB\nused / has", justify="right", no_wrap=True)
    table.add_column("largest cost", no_wrap=True)
    for outcome in rows:
        if outcome.service is not None:
            table.add_row(
                *_cells(plan, outcome, outcome.service, wide), style=_style(plan, outcome)
            )
    return table


def _cells(plan: Plan, outcome: Outcome, service: Service, wide: bool) -> Iterator[str]:
    own = " (spec)" if outcome.size == plan.question.own_size else ""
    yield outcome.size + own
    yield _rate(service.tokens_per_s, wide=wide)
    yield _seconds_pair(service.ttft_s, service.ttft_p99_s)
    yield f"{1e3 * service.tpot_s.value:.1f} / {1e3 * service.tpot_p99_s.value:.1f}"
    if plan.question.slo.stated or plan.question.load.rate_per_s is not None:
        yield f"{100 * service.meets:.0f} %"
    if wide and outcome.memory is not None:
        yield f"{outcome.memory.needed / GIB:.1f} / {outcome.memory.capacity / GIB:.1f}"
    yield f"{service.binding} {100 * service.shares[service.binding]:.0f} %"


def _rate(found: Forecast, *, wide: bool) -> str:
    value = f"{found.value:,.0f}" if found.value >= 10 else f"{found.value:.2g}"
    return f"{value} ({found.low:,.0f}–{found.high:,.0f})" if wide else value


def _seconds_pair(mean: Forecast | None, p99: Forecast | None) -> str:
    if mean is None or p99 is None:
        return "too busy to tell"
    return f"{told_s(mean.value)} / {told_s(p99.value)}"


def _style(plan: Plan, outcome: Outcome) -> str:
    if plan.best is outcome:
        return "bold green" if plan.feasible else "bold"
    service = outcome.service
    return "" if service is not None and service.meets >= 1 - plan.question.risk else "dim"


def _refused(plan: Plan) -> Iterator[str]:
    """Yield why a tp is not in the table, for each of which no layout can be run."""
    served = {each.tp for each in plan.outcomes if each.service is not None}
    told: set[int] = set()
    refused = [each for each in plan.outcomes if each.tp not in served]
    for outcome in sorted(refused, key=lambda each: (each.tp, each.batch_size, each.replicas)):
        if outcome.tp not in told:
            yield f"{'' if told else chr(10)}not TP{outcome.tp}: {outcome.refusal}"
            told.add(outcome.tp)


def _changes(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        answer = f"{change.size} would be best" if change.size else "no layout would do"
        yield f"with {change.what}: {answer}"


def _caveats(plan: Plan) -> Iterator[str]:
    """Yield what the numbers rest on, and where they go beyond it."""
    best = plan.best.service if plan.best is not None else None
    if best is None:
        return
    yield f"\ncalibrated from: {plan.calibrated_from}"
    yield from beyond_lines(best)
    for note in best.notes:
        yield f"note: {note}"
    if not plan.question.slo.stated:
        yield f"{_undecided(plan)}; --slo ttft=2s,tpot=40ms sets one"


def beyond_lines(service: Service) -> Iterator[str]:
    """Yield in what a layout is unlike all that was measured, if it is."""
    if set(service.beyond) == set(FEATURES):
        yield "so data sheets and other devices speak, and nothing like it was measured"
    elif service.beyond:
        yield f"beyond what was measured in: {', '.join(service.beyond)}"


def _undecided(plan: Plan) -> str:
    kept = plan.question.kept_batch_size
    is_kept = plan.best is not None and plan.best.batch_size == kept
    slots = f" at layout.batch_size = {kept}" if is_kept else ""
    return f"no SLO is stated, so output tok/s{slots} alone decide"
