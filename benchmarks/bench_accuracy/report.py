"""From what every run found to medians, next to what ours must reach. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from replicore.bench.selfcheck.selftest import PaceRow, StreamsRow, TurnsRow

Row = dict[str, object]
Figures = Mapping[str, float | None]
# By tool and number of streams, the figures of every run.
Found = Mapping[tuple[str, int], Sequence[Figures]]


def rows_of(found: Found) -> list[Row]:
    """Return a row per tool and number of streams, with the median of every figure."""
    return [
        {"tool": tool, "streams": streams, "runs": len(runs)}
        | {name: median(runs, name) for name in runs[0]}
        for (tool, streams), runs in found.items()
    ]


def median(runs: Sequence[Figures], name: str) -> float | None:
    """Return the median of the runs that have it; None if none has."""
    values = [value for run in runs if (value := run[name]) is not None]
    return round(statistics.median(values), 4) if values else None


def text(rows: Sequence[Row]) -> str:
    """Return the rows as a table."""
    names = list(rows[0]) if rows else []
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that ours must reach."""

    name: str
    limit: float
    value: float | None
    at_least: bool = False

    @property
    def row(self) -> Row:
        sign = ">=" if self.at_least else "<="
        return {
            "target": self.name,
            "limit": f"{sign} {self.limit:g}",
            "value": self.value,
            "met": None if self.value is None else self._met(self.value),
        }

    def _met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


def targets_of(
    found: Found, levels: Sequence[StreamsRow], paces: Sequence[PaceRow], turns: Sequence[TurnsRow]
) -> list[Row]:
    """Return what ours must reach, and what it reached: medians over the runs."""
    made = [*_accuracy(found), *_cost(levels), *_pace(paces), *_turns(turns)]
    return [target.row for target in made]


def _accuracy(found: Found) -> Iterator[Target]:
    for (tool, streams), runs in found.items():
        ttft, itl = (_magnitude(median(runs, name)) for name in ("ttft_p50_ms", "itl_p99_ms"))
        if tool == "replicore, as read":
            yield Target(f"TTFT error at {streams} streams, as read, ms", 5.0, ttft)
            yield Target(f"ITL p99 error at {streams} streams, as read, ms", 1.0, itl)
        elif tool == "replicore":
            yield Target(f"TTFT error at {streams} streams, stamped, ms", 0.5, ttft)
            yield Target(f"ITL p99 error at {streams} streams, stamped, ms", 0.5, itl)
            start = median(runs, "first_request_s")
            yield Target(f"first request at {streams} streams, s", 0.5, start)


def _magnitude(value: float | None) -> float | None:
    return None if value is None else abs(value)


def _cost(levels: Sequence[StreamsRow]) -> Iterator[Target]:
    by_streams: dict[int, list[StreamsRow]] = {}
    for row in levels:
        by_streams.setdefault(row.streams, []).append(row)
    for streams, rows in by_streams.items():
        rate = statistics.median(row.found.chunks_per_s for row in rows)
        cores = statistics.median(row.cpu_cores for row in rows)
        held = statistics.median(row.mock.held_share or 0.0 for row in rows)
        lost = max(abs(row.asked - row.mock.distinct) for row in rows)
        yield Target(f"cores at {streams} streams, {rate:.0f} events/s", 1.0, cores)
        yield Target(f"in flight = C at {streams} streams, share", 0.99, held, at_least=True)
        yield Target(f"requests lost or doubled at {streams} streams", 0.0, float(lost))


def _pace(paces: Sequence[PaceRow]) -> Iterator[Target]:
    if paces:
        delay = statistics.median(pace.send_delay_p99_s for pace in paces) * 1000
        share = statistics.median(pace.achieved_share for pace in paces)
        rate = paces[0].rate_per_s
        yield Target(f"send delay p99 at {rate:g} req/s, ms", 2.0, delay)
        yield Target(f"achieved rate at {rate:g} req/s, share", 0.999, share, at_least=True)


def _turns(turns: Sequence[TurnsRow]) -> Iterator[Target]:
    if turns:
        apart = max(max(row.arrived) - min(row.arrived) for row in turns)
        yield Target("round robin, counts apart", 1.0, float(apart))
