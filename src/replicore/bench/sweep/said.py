"""What a sweep found, in sentences: for the terminal, the page and the JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.bench.report.words import decimal, milliseconds, percent
from replicore.bench.selfcheck.verdict import Kind
from replicore.bench.stats.summary import Objectives
from replicore.bench.sweep.cells import Attainment, Cell, requests_to_be_sure
from replicore.bench.sweep.entries import Run
from replicore.bench.sweep.findings import Findings
from replicore.bench.sweep.ranking import Scaling, Versus, Winner
from replicore.wording import pluralize

# A few repeats carry no more certainty than this.
_SUREST = 0.999


def headline(found: Findings) -> str:
    """Return the sentence that names the winner, or says why there is none."""
    if not found.cells:
        return "no layout was measured"
    if found.winner is None:
        return _nobody(found)
    winner = found.winner
    best = "best so far" if found.missing else "best"
    said = f"{best}: {winner.layout} at {winner.concurrency} in flight"
    said = f"{said}, with {decimal(winner.rate)} output tok/s"
    if not winner.others:
        ranked = {cell.layout for cell in found.cells if not cell.baseline}
        return f"{said}, the only layout that meets the objectives" if len(ranked) > 1 else said
    return f"{said}, {versus(winner.others[0])}{_doubt(winner)}"


def versus(other: Versus) -> str:
    """Return how much better the winner is than the best of another layout."""
    interval = ""
    if other.ratio is not None:
        interval = f" ({other.ratio.low:.2f}–{other.ratio.high:.2f})"
    return f"{other.value:.2f} ×{interval} those of {other.layout} at {other.concurrency}"


def _doubt(winner: Winner) -> str:
    if winner.confidence is None:
        return "; one run each, so that may be noise"
    if winner.clear:
        return f"; confidence {confidence(winner.confidence)}"
    return f"; that may be chance: confidence {confidence(winner.confidence)}"


def confidence(probability: float) -> str:
    """Return a probability as people read it; never all, however large.

    >>> confidence(0.9731), confidence(0.99999)
    ('97.3%', '> 99.9%')
    """
    return f"> {_SUREST:.1%}" if probability > _SUREST else f"{probability:.1%}"


def _nobody(found: Findings) -> str:
    ranked = [cell for cell in found.cells if not cell.baseline] or list(found.cells)
    closest = max(ranked, key=lambda cell: min(one.share for one in cell.attained))
    worst = min(closest.attained, key=lambda one: one.share)
    return (
        f"no layout meets the objectives; closest: {closest}, "
        f"where {percent(worst.share)} of the requests {_were(worst)}, 99% are needed"
    )


def _were(one: Attainment) -> str:
    return "were answered" if one.limit_s is None else f"were within {limit(one)}"


def limit(one: Attainment) -> str:
    """Return an objective in words."""
    if one.limit_s is None:
        return "99% of the requests answered"
    return f"{one.name} p99 of {milliseconds(one.limit_s)} ms"


def objectives(slo: Objectives) -> str:
    """Return what a layout had to meet to win."""
    limits = (("TTFT", slo.ttft_s), ("TPOT", slo.tpot_s))
    stated = [f"{name} p99 ≤ {milliseconds(value)} ms" for name, value in limits if value]
    return " and ".join(stated) or "none stated: 99% of the requests answered"


def notes(found: Findings) -> list[str]:
    """Return what must be known to read the figures, most important first; one sentence each."""
    return [
        *(f"{one.layout} failed: {one.message}" for one in found.failed),
        *_missing(found),
        *_simulated(found),
        *_winner_notes(found),
        *_error_notes(found),
        *_restart_notes(found),
        *_verdict_notes(found),
        *_slot_notes(found),
    ]


def _missing(found: Findings) -> Iterator[str]:
    if found.missing:
        total = found.missing + len(found.runs)
        yield f"{found.missing} of {total} runs were not made; --resume makes them"


def _simulated(found: Findings) -> Iterator[str]:
    if found.simulated:
        yield "simulated: these numbers are of no real engine"


def _winner_notes(found: Findings) -> Iterator[str]:
    if found.winner is None:
        return
    cell = found.cell(found.winner.layout, found.winner.concurrency)
    unsure = [one for one in cell.attained if not one.sure]
    if unsure:
        yield (
            f"of {unsure[0].requests} requests to the winner {_shares(unsure)}: too few to be sure "
            f"of a 99th percentile, {requests_to_be_sure()} without a miss would be enough"
        )
    if found.plan.repeats < 2:
        yield "one run each says nothing of what differs from run to run; --repeats 3 does"
    elif len(found.winner.others) > 1:
        yield "p-values are adjusted for the number of layouts compared (Holm)"


def _shares(attained: list[Attainment]) -> str:
    return ", ".join(f"{one.within} {_were(one)}" for one in attained)


def _error_notes(found: Findings) -> Iterator[str]:
    for cell in found.cells:
        if cell.errors:
            kinds = sorted({kind for run in _runs(found, cell) for kind in run.errors})
            yield f"{cell}: {cell.errors} of {cell.requests} requests failed ({', '.join(kinds)})"


def _restart_notes(found: Findings) -> Iterator[str]:
    for cell in found.cells:
        for run in _runs(found, cell):
            if run.restarts:
                times = pluralize(run.restarts, "time")
                yield f"{cell}, repeat {run.repeat + 1}: a replica was restarted {times} meanwhile"


def _verdict_notes(found: Findings) -> Iterator[str]:
    """Yield what keeps runs from being believed; few requests are told of already."""
    by_kind: dict[str, list[Run]] = {}
    for run in found.runs:
        if run.verdict not in (Kind.VALID, Kind.TOO_FEW_SAMPLES):
            by_kind.setdefault(run.verdict, []).append(run)
    for kind, runs in by_kind.items():
        first = runs[0]
        yield (
            f"{len(runs)} of {pluralize(len(found.runs), 'run')} {kind}, the first {first.layout} "
            f"at {first.concurrency} in flight, repeat {first.repeat + 1}: {first.reasons[0]}"
        )


def _runs(found: Findings, cell: Cell) -> list[Run]:
    place = (cell.layout, cell.concurrency)
    return [run for run in found.runs if (run.layout, run.concurrency) == place]


def _slot_notes(found: Findings) -> Iterator[str]:
    waiting = [cell for cell in found.cells if cell.concurrency > cell.slots]
    for layout in dict.fromkeys(cell.layout for cell in waiting):
        slots = next(cell.slots for cell in waiting if cell.layout == layout)
        yield (
            f"{layout} has {slots} slots: with more in flight requests wait in the gateway, "
            "and their TTFT has the wait in it"
        )


def efficiency(one: Scaling) -> str:
    """Return a scaling efficiency with its interval."""
    low, high = one.low, one.high
    interval = "" if low is None or high is None else f" ({low:.0%}–{high:.0%})"
    return f"{one.efficiency:.0%}{interval}"
