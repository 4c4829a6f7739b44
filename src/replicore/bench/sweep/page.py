"""A sweep as one HTML page that needs nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from replicore.bench.report.figure import Figure
from replicore.bench.report.markup import Markup, html_table, joined, tag
from replicore.bench.report.shell import Section, page_shell
from replicore.bench.report.words import (
    decimal,
    milliseconds,
    percent,
    quantile,
    rate,
    rate_span,
    span,
)
from replicore.bench.stats.summary import Quantile
from replicore.bench.sweep.cells import Cell
from replicore.bench.sweep.charts import by_load, overview, rivals, scaling
from replicore.bench.sweep.entries import Run
from replicore.bench.sweep.findings import Findings
from replicore.bench.sweep.ranking import is_winner
from replicore.bench.sweep.said import (
    confidence,
    efficiency,
    headline,
    notes,
    objectives,
)
from replicore.bench.sweep.table import FRONT, median_and_p99, versus_cells
from replicore.wording import pluralize


def sweep_page(found: Findings, *, command: Sequence[str]) -> str:
    """Return the page of a sweep."""
    return page_shell(
        f"Layouts of {found.name}",
        _sections(found, command),
        subtitle=f"{_size(found)}, begun {found.started_at}",
        lead=_lead(found),
    )


def _size(found: Findings) -> str:
    layouts = len({cell.layout for cell in found.cells if not cell.baseline})
    return ", ".join(
        (
            pluralize(layouts, "layout"),
            pluralize(len(found.runs), "run"),
            f"{pluralize(found.plan.repeats, 'repeat')} interleaved",
        )
    )


def _lead(found: Findings) -> Markup:
    """Return the winner, or why there is none, and what must be known to believe it."""
    tone = "bad" if found.winner is None else "good" if found.winner.clear else "warn"
    items = [tag("li", note) for note in notes(found)]
    asked = tag("li", f"objectives: {objectives(found.slo)}")
    said = headline(found)
    box = tag(
        "div", tag("strong", said[:1].upper() + said[1:]), tag("ul", asked, *items),
        class_=f"verdict {tone}",
    )  # fmt: skip
    return Markup(box + _tiles(found))


def _tiles(found: Findings) -> Markup:
    if found.winner is None:
        return Markup("")
    winner = found.winner
    cell = found.cell(winner.layout, winner.concurrency)
    shown = [
        _tile("layout", winner.layout, "", f"{winner.concurrency} in flight, {cell.slots} slots"),
        _tile(
            "output rate",
            rate(cell.output_tokens_per_s),
            "tok/s",
            rate_span(cell.output_tokens_per_s),
        ),
        _tile("TTFT p50 / p99", median_and_p99(cell.ttft_p50, cell.ttft_s), "ms", ""),
        _tile("TPOT p50 / p99", median_and_p99(cell.tpot_p50, cell.tpot_s), "ms", ""),
    ]
    if winner.others and winner.confidence is not None:
        shown.append(_tile("confidence", confidence(winner.confidence), "", "that none is better"))
    return tag("dl", *shown, class_="tiles")


def _tile(name: str, value: str, unit: str, under: str) -> Markup:
    number = tag("span", value, class_="value"), " ", tag("span", unit, class_="unit")
    small = tag("div", under, class_="range")
    return tag("div", tag("dt", name), tag("dd", *number, small), class_="tile")


def _sections(found: Findings, command: Sequence[str]) -> Iterator[Section]:
    if found.cells:
        yield Section(title="Throughput and time to first token", body=_overview(found))
        yield Section(
            title="Every layout at every load",
            note="Below a number is its 95 % interval, below the objectives the smallest share of "
            f"requests within one. {FRONT}: no other has both a higher output rate and a lower "
            "TTFT p50.",
            body=[_cells_table(found)],
        )
    if found.winner is not None and found.winner.others:
        yield _versus_section(found)
    if found.scalings:
        body: list[Markup | Figure] = [scaling(found), _scaling_table(found)]
        yield Section(title="Scaling efficiency", body=body)
    if found.runs:
        yield Section(title="Runs, in the order they were made", body=[_runs_table(found)])
    yield Section(title="How it was measured", body=[*_conditions(found, command)])


def _overview(found: Findings) -> list[Markup | Figure]:
    return [*overview(found), *by_load(found)]


def _cells_table(found: Findings) -> Markup:
    head = (
        "layout", "in flight", "output tok/s", "tok/s a core", "TTFT p50, ms",
        "TTFT p99, ms", "TPOT p50, ms", "TPOT p99, ms", "objectives", "errors", "runs", "front",
    )  # fmt: skip
    return html_table(head, [_cell_row(cell, found) for cell in found.cells])


def _cell_row(cell: Cell, found: Findings) -> list[str]:
    name = f"{cell.layout} (alone)" if cell.baseline else cell.layout
    return [
        tag("strong", name) if is_winner(cell, found.winner) else name,
        str(cell.concurrency),
        _small(rate(cell.output_tokens_per_s), rate_span(cell.output_tokens_per_s)),
        decimal(cell.rate / cell.cores),
        *(_milliseconds(one) for one in (cell.ttft_p50, cell.ttft_s.at(0.99))),
        *(_milliseconds(one) for one in (cell.tpot_p50, cell.tpot_s.at(0.99))),
        _attained(cell),
        str(cell.errors),
        str(cell.runs),
        FRONT if cell in found.front else "",
    ]


def _milliseconds(found: Quantile) -> Markup:
    return _small(quantile(found, milliseconds), span(found.low, found.high, milliseconds))


def _small(value: str, below: str) -> Markup:
    return joined((value, tag("small", below))) if below else joined((value,))


def _attained(cell: Cell) -> Markup:
    worst = min(cell.attained, key=lambda one: one.share)
    said = "met" if cell.meets else "missed"
    return _small(said, f"{worst.name} {percent(worst.share)}")


def _versus_section(found: Findings) -> Section:
    others = found.winner.others if found.winner else ()
    head = ("layout", "in flight", "ratio", "95 % interval", "better with probability", "p (Holm)")
    table = html_table(head, [versus_cells(other) for other in others])
    drawn = [rivals(others)] if any(other.ratio for other in others) else []
    return Section(
        title="The winner against the best of each other layout",
        note="Runs of one repeat are compared with each other, so what makes a whole repeat slower "
        "falls out. Student's t on the logarithms of the ratios, one for each repeat.",
        body=[*drawn, table],
    )


def _scaling_table(found: Findings) -> Markup:
    head = ("layout", "in flight", "one alone", "in flight", "scaling efficiency")
    rows = [
        [s.layout, str(s.concurrency), s.alone, str(s.alone_concurrency), efficiency(s)]
        for s in found.scalings
    ]
    return html_table(head, rows)


def _runs_table(found: Findings) -> Markup:
    head = (
        "layout",
        "in flight",
        "repeat",
        "output tok/s",
        "errors",
        "ready s",
        "cores",
        "verdict",
        "record",
    )
    return html_table(head, [_run_row(run) for run in found.runs])


def _run_row(run: Run) -> list[str]:
    return [
        run.layout,
        str(run.concurrency),
        str(run.repeat + 1),
        _small(rate(run.output_tokens_per_s), rate_span(run.output_tokens_per_s)),
        str(sum(run.errors.values())),
        f"{run.ready_s:.1f}",
        " ".join(run.cores),
        run.verdict,
        tag("a", "JSON", href=run.file),
    ]


def _conditions(found: Findings, command: Sequence[str]) -> Iterator[Markup]:
    yield tag("pre", shlex.join(command))
    rows = [[key, value] for key, value in found.conditions.items()]
    facts = html_table(("condition", "value"), [*rows, ["seed", str(found.plan.seed)]])
    yield tag("details", tag("summary", "the conditions of all runs"), facts)
