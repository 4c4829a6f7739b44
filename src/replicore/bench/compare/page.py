"""A comparison as one HTML page: a chart of the ratios for each pair, and every number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replicore.bench.compare.comparison import Comparison, Line, Pair
from replicore.bench.compare.words import (
    FIELD_HEAD,
    NUMBER_HEAD,
    UNCLEAR,
    Footnotes,
    conclusion,
    condition_rows,
    field_rows,
    fields_differ,
    heads,
    label,
    number_rows,
    outcome,
    run_notes,
    run_titles,
    sentences,
)
from replicore.bench.report.figure import (
    BAD,
    GOOD,
    SOFT,
    Axis,
    Figure,
    Trace,
    figure,
    interval,
    limit_line,
    points,
)
from replicore.bench.report.markup import Markup, html_table, note_list, tag
from replicore.bench.report.shell import Section, page_shell
from replicore.bench.report.words import percent
from replicore.bench.stats.scaling import Ratio

_LINE_HEIGHT, _FRAME_HEIGHT = 26, 70
_COLORS = {"better": GOOD, "worse": BAD, UNCLEAR: SOFT}


def page(comparison: Comparison, *, command: str) -> str:
    """Return the page; it needs no network."""
    notes = Footnotes()
    sections = [
        _runs(comparison),
        *(section for pair in comparison.pairs for section in _pair(pair, notes)),
    ]
    if marked := list(notes):
        sections.append(Section(title="Notes", body=[note_list(marked)]))
    sections.append(Section(title="Command", body=[tag("pre", command)]))
    said = note_list(map(conclusion, comparison.pairs))
    names = ", ".join(run.name for run in comparison.runs)
    return page_shell(
        f"Comparison of {len(comparison.runs)} runs", sections, subtitle=names, lead=said
    )


def _runs(comparison: Comparison) -> Section:
    body = [html_table(("", *run_titles(comparison)), condition_rows(comparison))]
    if found := run_notes(comparison):
        body.append(note_list(found))
    return Section(title="Runs", body=body)


def _pair(pair: Pair, notes: Footnotes) -> Iterator[Section]:
    first, second = pair.names
    body: list[Markup | Figure] = []
    if found := _ratios(pair):
        body.append(found)
    rows = number_rows(pair, notes)
    body.append(html_table(heads(NUMBER_HEAD, pair), (_toned(r.cells, r.tone) for r in rows)))
    if said := sentences(pair):
        body.append(note_list(said))
    yield Section(title=f"{second} against {first}", body=body)
    if fields_differ(pair):
        table = html_table(heads(FIELD_HEAD, pair), field_rows(pair, notes), texts=True)
        yield Section(title=f"Fields of {first} and {second}", body=[table])


def _toned(cells: Sequence[str], tone: str) -> list[str]:
    *others, said = cells
    colored = tag("strong", said, style=f"color: var(--{tone})") if tone else said
    return [*others, colored]


def _ratios(pair: Pair) -> Figure | None:
    """Chart every ratio with its interval, the first at the top; None without any."""
    bars = _bars(pair.lines)
    if not bars:
        return None
    groups = {word: [bar for bar in bars if bar.outcome == word] for word in _COLORS}
    first, second = pair.names
    equal, _ = limit_line(1, "", color=SOFT, upright=True)
    return figure(
        f"{second} over {first}",
        [_trace(word, group) for word, group in groups.items() if group],
        x=Axis(title="ratio, with its 95 % interval", kind="log"),
        y=Axis(title="", ticks={bar.height: bar.label for bar in bars}),
        marks=[(equal, None)],
        note="1 is equal; lower is better for times, higher for rates.",
        height=_FRAME_HEIGHT + _LINE_HEIGHT * len(bars),
        wide=True,
    )


@dataclass(frozen=True, slots=True)
class _Bar:
    """One line of the chart; ``height`` is its place, counted from the bottom."""

    height: float
    label: str
    outcome: str
    ratio: Ratio


def _bars(lines: Sequence[Line]) -> list[_Bar]:
    tested = [(line, ratio) for line in lines if (ratio := line.judged.ratio) is not None]
    return [
        _Bar(float(height), label(line), outcome(line)[1], ratio)
        for height, (line, ratio) in zip(range(len(tested), 0, -1), tested, strict=True)
    ]


def _trace(word: str, group: Sequence[_Bar]) -> Trace:
    ratios = [bar.ratio for bar in group]
    color = _COLORS[word]
    bars = interval([r.value for r in ratios], [r.low for r in ratios], [r.high for r in ratios])
    return points(
        word,
        [r.value for r in ratios],
        [bar.height for bar in group],
        color=color,
        size=9,
        error_x={**bars, "color": color},
        text=[f"{b.label}: better with probability {percent(b.ratio.improvement)}" for b in group],
        hovertemplate="%{text}<br>%{x:.3f}<extra></extra>",
    )
