"""What a terminal shows of a run while it runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from replicore.bench.client.tick import ReplicaTick, Tick
from replicore.bench.report.pulse import SPAN_S, Pulse, sparkline, typical
from replicore.bench.report.words import MISSING, decimal, milliseconds, optional

# Parameters of the terminal's "select graphic rendition".
PLAIN, BOLD, DIM, GREEN, CYAN, ALARM = "", "1", "2", "32", "36", "1;31"

# Pieces of text with how each looks.
Line: TypeAlias = list[tuple[str, str]]

_BAR_CELLS = 28


def view(title: str, tick: Tick, pulse: Pulse, *, most: int) -> list[Line]:
    """Return the lines of a picture.

    Args:
        most: How many replicas there is room for.
    """
    lines = [_headline(title, tick, pulse), _rates(tick, pulse), _first_tokens(pulse)]
    if len(tick.replicas) > 1:
        lines += _replicas(tick.replicas[:most], pulse)
        if hidden := len(tick.replicas[most:]):
            lines.append([(f"  and {hidden} more", DIM)])
    return [*lines, [("  Ctrl-C ends the run early and keeps what was measured", DIM)]]


def facts(tick: Tick, pulse: Pulse) -> Iterator[str]:
    """Yield the same in few words, for a line of a log."""
    yield _done(tick)
    if pulse.tokens_per_s is not None:
        yield f"{_about(pulse.tokens_per_s)} tok/s"
    yield f"{tick.in_flight} in flight"
    if (found := typical(pulse.ttfts_s)) is not None:
        yield f"TTFT p50 {milliseconds(found[0])} ms"
    if tick.errors:
        yield f"{tick.errors} errors"


def _done(tick: Tick) -> str:
    if tick.total is None:
        return f"{tick.done} requests in {_clock(tick.elapsed_s)}"
    return f"{tick.done}/{tick.total} requests"


def _headline(title: str, tick: Tick, pulse: Pulse) -> Line:
    line = [(f"{title}  ", BOLD)]
    if not tick.done:
        waiting = f"warming up: {tick.warming} requests" if tick.warming else "starting"
        return [*line, (waiting, PLAIN)]
    if tick.total is not None:
        filled = tick.done * _BAR_CELLS // tick.total
        line += [("━" * filled, GREEN), ("━" * (_BAR_CELLS - filled), DIM), ("  ", PLAIN)]
    return [*line, (_done(tick), BOLD), (_times(tick, pulse), PLAIN)]


def _times(tick: Tick, pulse: Pulse) -> str:
    elapsed = "" if tick.total is None else f"  {_clock(tick.elapsed_s)}"
    left = pulse.remaining_s
    return elapsed if left is None else f"{elapsed}, about {_clock(left)} to go"


def _rates(tick: Tick, pulse: Pulse) -> Line:
    return [
        (f"  {_about(pulse.tokens_per_s)} tok/s ", PLAIN),
        (sparkline(pulse.history), CYAN),
        (f"  {optional(pulse.requests_per_s)} req/s  {tick.in_flight} in flight  ", PLAIN),
        (f"{tick.errors} errors", ALARM if tick.errors else DIM),
    ]


def _first_tokens(pulse: Pulse) -> Line:
    found = typical(pulse.ttfts_s)
    if found is None:
        return [("  TTFT: none yet", DIM)]
    middle, largest = map(milliseconds, found)
    told = f"  TTFT p50 {middle} ms, longest {largest} ms"
    return [(told, PLAIN), (f"  of the last {SPAN_S:.0f} s", DIM)]


def _replicas(replicas: Sequence[ReplicaTick], pulse: Pulse) -> Iterator[Line]:
    width = max(len("replica"), *(len(replica.name) for replica in replicas))
    head = f"  {'replica':<{width}}  {'done':>8}  {'in flight':>9}  {'≈tok/s':>8}  {'errors':>6}"
    yield [(head, DIM)]
    for replica in replicas:
        rate = optional(pulse.replica_tokens_per_s(replica.name))
        counts = f"  {replica.done:>8}  {replica.in_flight:>9}  {rate:>8}  "
        errors = (f"{replica.errors:>6}", ALARM if replica.errors else DIM)
        yield [(f"  {replica.name:<{width}}", PLAIN), (counts, PLAIN), errors]


def _about(rate: float | None) -> str:
    return MISSING if rate is None else f"≈{decimal(rate)}"


def _clock(seconds: float) -> str:
    """Return ``41 s``, ``2:05`` or ``1:02:05``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
