"""Charts of what is not a request: the servers' own numbers, and how the client did. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replicore.bench.record import ClientSecond, ServerSample
from replicore.bench.report.figure import (
    Axis,
    Figure,
    figure,
    line,
    scaled,
    series_color,
    series_dash,
)

# Whose value it is, when on the run's clock, and the value.
Point = tuple[str, float, float | None]


def server_charts(samples: Sequence[ServerSample]) -> list[Figure]:
    """Return what the servers told of themselves; no chart of what none of them told."""
    running = [(one.replica, one.at_s, one.running) for one in samples]
    waiting = [(one.replica, one.at_s, one.waiting) for one in samples]
    used = [(one.replica, one.at_s, scaled(one.kv_usage, 100)) for one in samples]
    return [
        *_over_time("Running on the servers", "requests", running),
        *_over_time("Waiting on the servers", "requests", waiting),
        *_over_time("Key-value cache in use", "%", used),
    ]


def client_charts(seconds: Sequence[ClientSecond]) -> list[Figure]:
    """Return how the client did, second by second; a line for each of its processes."""
    named = [(f"process {one.worker}", one) for one in seconds]
    lag = [(name, one.start_s, one.loop_lag_s * 1000) for name, one in named]
    queue = [(name, one.start_s, scaled(one.run_queue_s, 1000)) for name, one in named]
    cpu = [(name, one.start_s, one.cpu_share * 100) for name, one in named]
    return [
        *_over_time("Longest delay of a timer", "ms", lag),
        *_over_time("Wait for a processor core", "ms in a second", queue),
        *_over_time("Processor time of the client", "% of a core", cpu),
    ]


def _over_time(title: str, unit: str, found: Iterable[Point]) -> list[Figure]:
    """Return one chart with a line for each name; none without a value."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, at_s, value in found:
        if value is not None:
            lines.setdefault(name, []).append((at_s, value))
    if not lines:
        return []
    traces = []
    for index, name in enumerate(sorted(lines, key=lambda name: (len(name), name))):
        times, values = zip(*lines[name], strict=True)
        style = {"color": series_color(index), "width": 1.8, "dash": series_dash(index)}
        traces.append(line(name, times, values, line=style))
    x = Axis(title="seconds since the run began", low=0)
    return [figure(title, traces, x=x, y=Axis(title=unit, low=0), unified=True, height=220)]
