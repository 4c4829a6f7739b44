"""One layout's numbers on a terminal, broken down to what they are the sum of."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from replicore.cli.console import print_line, report_console
from replicore.cli.plan_view import beyond_lines
from replicore.errors import ConfigError
from replicore.planner.advice import told_s
from replicore.planner.memory.rank import RankMemory
from replicore.planner.plan import Outcome, Plan, Service
from replicore.planner.prediction.breakdown import Breakdown, tpot_breakdown, ttft_breakdown
from replicore.planner.prediction.predictor import Predictor
from replicore.units import GIB


def find_layout(plan: Plan, replicas: int, tp: int, batch_size: int | None) -> Outcome:
    """Return the layout; without a batch size the best of that shape.

    Raises:
        ConfigError: The plan has no such layout.
    """
    for outcome in plan.outcomes:
        same = (outcome.replicas, outcome.tp) == (replicas, tp)
        if same and batch_size in (None, outcome.batch_size):
            return outcome
    refused = [each for each in plan.outcomes if each.tp == tp and each.refusal]
    if refused:
        return refused[0]
    size = f"{replicas}x{tp}" + (f"x{batch_size}" if batch_size else "")
    known = dict.fromkeys(f"{each.replicas}x{each.tp}" for each in plan.outcomes if each.service)
    raise ConfigError(
        f"--explain: {size} is not among the layouts of this plan; these are: "
        + ", ".join(list(known)[:12])
    )


def print_explanation(plan: Plan, outcome: Outcome, predictor: Predictor) -> None:
    """Print where a layout's numbers are from."""
    screen = report_console()
    screen.print(Text(f"{outcome.size} of {plan.question.model}", style="bold"))
    if outcome.refusal:
        print_line(screen, f"cannot be run: {outcome.refusal}")
    if outcome.memory is not None:
        screen.print(Text("\nmemory of one core", style="bold"), _memory_table(outcome.memory))
    if outcome.service is None:
        return
    case = outcome.service.case
    for name, found in (
        ("TPOT", tpot_breakdown(case, predictor)),
        ("TTFT in a closed loop", ttft_breakdown(case, predictor)),
    ):
        title = f"\n{name} with {outcome.service.running:.3g} sequences: {told_s(found.total_s)}"
        screen.print(Text(title, style="bold"), _terms_table(found))
    for line in _lines(plan, outcome.service):
        print_line(screen, line)


def _memory_table(memory: RankMemory) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    tokens = f"{memory.kv_tokens:,} tokens of {memory.kv_per_token:,} bytes"
    for name, size, more in (
        ("weights", memory.weights, ""),
        ("KV cache", memory.kv, tokens),
        ("activation", memory.activation, ""),
        ("overhead", memory.overhead, "the runtime's own"),
        ("left", memory.left, f"of {memory.capacity / GIB:.2f} GiB"),
    ):
        table.add_row(name, f"{size / GIB:.2f} GiB", more)
    return table


def _terms_table(found: Breakdown) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("term")
    for name in ("data sheet", "factor", "takes", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what it is")
    for term in sorted(found.terms, key=lambda each: -each.seconds):
        if term.sheet_s > 0:
            table.add_row(
                term.name,
                told_s(term.sheet_s),
                f"{term.factor:.2f}",
                told_s(term.seconds),
                f"{100 * term.share:.0f} %",
                term.meaning,
            )
    if abs(found.correction - 1) > 0.005:
        table.add_row(
            *("measured nearby", "", f"{found.correction:.2f}", "", ""),
            "of the sum, by runs like it",
        )
    return table


def _lines(plan: Plan, service: Service) -> Iterator[str]:
    tokens = service.tokens_per_s
    yield ""
    yield (
        f"output: {tokens.value:,.0f} tok/s ({tokens.low:,.0f} to {tokens.high:,.0f} in 80 % of "
        f"cases), {service.replica_tokens_per_s.value:,.0f} of each replica"
    )
    if service.ttft_s is not None:
        yield f"TTFT under this load, waiting included: {told_s(service.ttft_s.value)}"
    yield f"goodput: {service.goodput_per_s:.3g} requests/s within every limit"
    yield f"calibrated from: {plan.calibrated_from}"
    yield from beyond_lines(service)
    yield from (f"note: {note}" for note in service.notes)
