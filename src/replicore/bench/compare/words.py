"""A comparison in words: the cells that the terminal's tables and the page have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replicore.bench.compare.comparison import Comparison, Line, Pair, name_of
from replicore.bench.compare.judging import Judged
from replicore.bench.compare.meaning import QUANTITIES, Metric, Sameness
from replicore.bench.compare.measured import RATE, Conditions, Measured, Point
from replicore.bench.report.words import MISSING, decimal, milliseconds, optional, span

NUMBER_HEAD = ("metric", "{first}", "{second}", "means the same", "{second} / {first}", "95 %", "")
_NARROW = 0.02
UNCLEAR = "no clear difference"
FIELD_HEAD = ("metric", "what it is", "field of {first}", "field of {second}", "means the same")


class Footnotes:
    """Sentences that are told once, by number, however often they apply."""

    def __init__(self) -> None:
        self._sentences: list[str] = []

    def mark(self, sentence: str | None) -> str:
        """Return the mark of a sentence, such as `` [2]``; nothing for none."""
        if not sentence:
            return ""
        if sentence not in self._sentences:
            self._sentences.append(sentence)
        return f" [{self._sentences.index(sentence) + 1}]"

    def __iter__(self) -> Iterator[str]:
        return (f"[{place}] {text}" for place, text in enumerate(self._sentences, start=1))


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One statistic of two runs, as text.

    Attributes:
        tone: ``good``, ``bad`` or nothing.
    """

    cells: tuple[str, ...]
    tone: str


def heads(pattern: Sequence[str], pair: Pair) -> list[str]:
    """Return a head with the runs' names in it."""
    return [text.format(first=pair.names[0], second=pair.names[1]) for text in pattern]


def condition_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return what each run was measured under: a name, and a cell for each run."""
    runs = comparison.runs
    rows = [
        ("tool", [run.tool for run in runs]),
        ("model", [_model(run.conditions) for run in runs]),
        ("load", [load(run.conditions) for run in runs]),
        ("requests", [_requests(run.conditions) for run in runs]),
        ("tokens in, mean", [optional(run.conditions.input_tokens) for run in runs]),
        ("tokens out, mean", [optional(run.conditions.output_tokens) for run in runs]),
        ("verdict on itself", [run.conditions.verdict or MISSING for run in runs]),
    ]
    return [(name, *cells) for name, cells in rows if set(cells) != {MISSING}]


def run_titles(comparison: Comparison) -> list[str]:
    """Return ``A  file.json`` for each run."""
    return [f"{name_of(place)}  {run.name}" for place, run in enumerate(comparison.runs)]


def _model(conditions: Conditions) -> str:
    return f"{conditions.model or MISSING}{' (simulated)' if conditions.simulated else ''}"


def load(conditions: Conditions) -> str:
    """Return how requests were sent: ``8 at a time``, ``10 a second (poisson)``."""
    most = conditions.concurrency
    if conditions.closed is None:
        return MISSING
    if conditions.closed:
        return MISSING if most is None else f"{most} at a time"
    cap = "" if most is None else f", at most {most} at a time"
    if conditions.rate_per_s is None:
        return f"{conditions.arrivals or 'all at once'}{cap}"
    how = f" ({conditions.arrivals})" if conditions.arrivals else ""
    return f"{conditions.rate_per_s:g} a second{how}{cap}"


def _requests(conditions: Conditions) -> str:
    if conditions.succeeded is None:
        return MISSING
    failed = f" and {conditions.failed:,} failed" if conditions.failed else ""
    return f"{conditions.succeeded:,}{failed}"


def number_rows(pair: Pair, notes: Footnotes) -> list[NumberRow]:
    """Return every statistic of every metric that one of the runs has."""
    return [_number_row(line, pair, notes) for line in pair.lines]


def _number_row(line: Line, pair: Pair, notes: Footnotes) -> NumberRow:
    result, related = line.judged, pair.relations[line.metric]
    differs = "; ".join(related.reasons)
    same = related.sameness.value + notes.mark(differs)
    tone, said = outcome(line)
    if result.because != differs and related.sameness is not Sameness.ONE_SIDED:
        said += notes.mark(result.because)
    return NumberRow(
        (
            label(line),
            _number(line.metric, line.first),
            _number(line.metric, line.second),
            same,
            *_ratio(line.judged),
            said.strip(),
        ),
        tone,
    )


def _ratio(judged: Judged) -> tuple[str, str]:
    """Return a ratio and its interval; a narrow one needs a third decimal."""
    if judged.value is None:
        return MISSING, ""
    if judged.ratio is None:
        return f"{judged.value:.2f}", ""
    low, high = judged.ratio.low, judged.ratio.high
    show = "{:.3f}".format if high - low < _NARROW else "{:.2f}".format
    return show(judged.value), span(low, high, show)


def label(line: Line) -> str:
    """Return ``TTFT ms p50``, or the name of a rate."""
    quantity = QUANTITIES[line.metric]
    if line.statistic == RATE:
        return quantity.label
    unit = "" if quantity.rate else " ms"
    return f"{quantity.label}{unit} {line.statistic}"


def _number(metric: Metric, point: Point | None) -> str:
    if point is None:
        return MISSING
    show = decimal if QUANTITIES[metric].rate else milliseconds
    interval = span(point.low, point.high, show)
    return f"{show(point.value)} ({interval})" if interval else show(point.value)


def outcome(line: Line) -> tuple[str, str]:
    """Return the tone of a ratio and the word for it."""
    ratio = line.judged.ratio
    if ratio is None:
        return "", ""
    if not line.clear:
        return "", UNCLEAR
    better = (ratio.value > 1) == QUANTITIES[line.metric].rate
    return ("good", "better") if better else ("bad", "worse")


def field_rows(pair: Pair, notes: Footnotes) -> list[tuple[str, ...]]:
    """Return the two fields of each metric, and whether they mean the same."""
    return [
        (
            QUANTITIES[metric].label,
            QUANTITIES[metric].formula,
            _field(pair.first, metric),
            _field(pair.second, metric),
            related.sameness.value + notes.mark("; ".join(related.reasons)),
        )
        for metric, related in pair.relations.items()
    ]


def _field(run: Measured, metric: Metric) -> str:
    reading = run.readings.get(metric)
    return MISSING if reading is None else reading.field


def fields_differ(pair: Pair) -> bool:
    """Tell whether a reader needs to know the fields: not of two files of one tool."""
    return any(related.sameness is not Sameness.SAME for related in pair.relations.values()) or any(
        _field(pair.first, metric) != _field(pair.second, metric) for metric in pair.relations
    )


def sentences(pair: Pair) -> list[str]:
    """Return what must be known to read a pair's numbers, most important first."""
    first, second = pair.names
    found = [f"not compared: {obstacle.says}" for obstacle in pair.obstacles]
    found += pair.remarks
    if any(line.judged.ratio for line in pair.lines):
        found.append(
            f"ratios are of the same requests, one by one, in {first} and {second}"
            if pair.paired
            else f"ratios take the requests of {first} and {second} for different ones"
        )
    return found


def run_notes(comparison: Comparison) -> list[str]:
    """Return what each run's file says that a reader must know."""
    return [
        f"{name_of(place)}: {note}"
        for place, run in enumerate(comparison.runs)
        for note in run.notes
    ]


def conclusion(pair: Pair) -> str:
    """Return how the second run stands against the first, in one sentence."""
    first, second = pair.names
    if not any(line.judged.ratio for line in pair.lines):
        return f"{second} against {first}: no ratio with an interval can be told"
    found = [(word, _metrics_of(pair, word)) for word in ("better", "worse")]
    said = [f"{word} in {', '.join(metrics)}" for word, metrics in found if metrics]
    return f"{second} against {first}: {'; '.join(said) or UNCLEAR}"


def _metrics_of(pair: Pair, word: str) -> list[str]:
    """Return the metrics of which that is said: ``TTFT (mean, p50)``."""
    statistics: dict[Metric, list[str]] = {}
    for line in pair.lines:
        if outcome(line)[1] == word:
            statistics.setdefault(line.metric, []).append(line.statistic)
    return [
        QUANTITIES[metric].label + ("" if found == [RATE] else f" ({', '.join(found)})")
        for metric, found in statistics.items()
    ]
