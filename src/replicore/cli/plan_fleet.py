"""A fleet for a rate on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from replicore.cli.console import print_line, report_console
from replicore.planner.fleet import Fleet
from replicore.planner.question import Question
from replicore.wording import pluralize


def fleet_sentence(question: Question, found: Sequence[Fleet]) -> str:
    """Return how many machines the rate takes."""
    rate = f"{question.load.rate_per_s:g} requests/s"
    if not found:
        risk = f"{100 * question.risk:.3g} %"
        return f"no number of replicas meets the SLO at {rate} within a risk of {risk}"
    best = found[0]
    machines = pluralize(best.machines, "machine")
    layout = f"{best.machine_replicas} x TP{best.tp} with batch {best.batch_size}"
    on_each = f"{layout} on each" if best.machines > 1 else layout
    loss = "machine" if best.machines > 1 else "replica"
    return (
        f"{machines} of {question.cores.machine} for {rate}, one {loss} to spare: {on_each}, "
        f"{100 * best.service.utilisation:.0f} % utilised; without one {loss} "
        f"{100 * best.after.utilisation:.0f} %, and the SLO is met with a probability of "
        f"{100 * best.after.meets:.0f} %"
    )


def print_fleets(question: Question, found: Sequence[Fleet]) -> None:
    """Print the sentence, and the fleets of each tp."""
    screen = report_console()
    style = "bold" if found else "bold yellow"
    print_line(screen, f"{fleet_sentence(question, found)}\n", style=style)
    if not found:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("machines x layout", no_wrap=True)
    for name in ("replicas", "needed", "utilised", "after a\nfailure", "meets\nSLO then"):
        table.add_column(name, justify="right", no_wrap=True)
    for fleet in found:
        table.add_row(
            fleet.size,
            str(fleet.replicas),
            str(fleet.needed),
            f"{100 * fleet.service.utilisation:.0f} %",
            f"{100 * fleet.after.utilisation:.0f} %",
            f"{100 * fleet.after.meets:.0f} %",
        )
    screen.print(table)
    print_line(screen, "\none machine by itself:")
