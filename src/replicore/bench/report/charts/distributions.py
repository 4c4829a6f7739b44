"""Charts of how latencies are distributed: how often each comes, and the way to the tail. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from replicore.bench.record import BenchResult
from replicore.bench.report.charts.samples import Sample, Samples
from replicore.bench.report.figure import (
    INK,
    SOFT,
    Annotation,
    Axis,
    Figure,
    Shape,
    Trace,
    bars,
    figure,
    interval,
    limit_line,
    line,
    points,
    scaled,
    series_color,
    series_dash,
)
from replicore.bench.report.words import decimal
from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.summary import Distribution, Quantile, Summary
from replicore.bench.stats.survival import curve_of

_MOST_BINS = 50
# A histogram ends at 1.25 times the value that 99.5 % are within: an outlier would press all others
# into one bar.
_SHOWN = 0.995
_FAR = 1.25
# Marks of the axis on which a share p is at -log10(1 - p), so that each nine takes the same room.
_SHARES = {0.0: "0", 0.5: "50", 0.9: "90", 0.95: "95", 0.99: "99", 0.999: "99.9", 0.9999: "99.99"}
_PLACES = 160
# Curves of more replicas than this cannot be told apart.
_MOST_CURVES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What is charted.

    Attributes:
        scale: Of the unit, in a second.
        limit_s: The objective; None where none was stated.
    """

    title: str
    unit: str
    scale: float
    limit_s: float | None = None

    @property
    def axis(self) -> str:
        return f"{self.title}, {self.unit}"

    def limits(self, *, upright: bool) -> list[tuple[Shape, Annotation]]:
        if self.limit_s is None:
            return []
        value = self.limit_s * self.scale
        return [limit_line(value, f"objective {decimal(value)}", upright=upright)]


def latency_charts(result: BenchResult, summary: Summary) -> Iterator[Figure]:
    """Return two charts for each metric that has values."""
    samples = Samples(result, summary)
    names = [row.name for row in summary.replicas]
    curves = names if 1 < len(names) <= _MOST_CURVES else []
    for key, metric, found in _metrics(summary):
        everyone = samples.of(key)
        if not len(everyone.seen):
            continue
        by_name = {name: samples.of(key, name) for name in curves}
        known = {name: sample for name, sample in by_name.items() if len(sample.seen)}
        yield histogram(metric, everyone, found)
        yield percentiles(metric, {**known, "all": everyone}, found)


def _metrics(summary: Summary) -> Iterator[tuple[str, Metric, Distribution]]:
    total, limits = summary.total, summary.objectives
    yield "ttft", _in_ms("Time to first token", limits.ttft_s), total.ttft_s
    yield "tpot", _in_ms("Time per output token", limits.tpot_s), total.tpot_s
    yield "gap", _in_ms("Chunk gap", None), total.gap_s
    end_to_end = Metric(title="End to end", unit="s", scale=1, limit_s=limits.e2e_s)
    yield "e2e", end_to_end, total.e2e_s


def _in_ms(title: str, limit_s: float | None) -> Metric:
    return Metric(title=title, unit="ms", scale=1000, limit_s=limit_s)


def histogram(metric: Metric, sample: Sample, found: Distribution) -> Figure:
    """Return how often each value came, of those that were seen to their end."""
    values = sample.seen * metric.scale
    top = _top(values)
    counts, edges = np.histogram(values, _bins(values, top), range=(values.min(), top))
    shares = counts / len(values) * 100
    middles, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    hover = "%{x:.4g} " + metric.unit + ": %{y:.2f} %<extra></extra>"
    trace = bars("requests", middles.tolist(), shares.tolist(), hovertemplate=hover)
    return figure(
        metric.title,
        [{**trace, "width": widths.tolist()}],
        x=Axis(title=metric.axis),
        y=Axis(title="% of values", low=0, high=float(shares.max()) * 1.18),
        marks=[*_levels(metric, found), *metric.limits(upright=True)],
        note=_histogram_note(metric, values, top, found),
        bargap=0.04,
    )


def _top(values: Floats) -> float:
    near = values <= _FAR * np.quantile(values, _SHOWN)
    return float(values[near].max())


def _bins(values: Floats, top: float) -> int:
    """Return the number of bins by Freedman and Diaconis: widths of 2 IQR / n^(1/3)."""
    low, high = np.quantile(values, (0.25, 0.75))
    width = 2 * float(high - low) / math.cbrt(len(values))
    if not width > 0:
        return _MOST_BINS
    return min(max(math.ceil((top - float(values.min())) / width), 1), _MOST_BINS)


def _levels(metric: Metric, found: Distribution) -> list[tuple[Shape, Annotation]]:
    return [
        limit_line(value * metric.scale, name, color=SOFT, upright=True)
        for name, value in (("p50", found.p50), ("p99", found.p99))
        if value is not None
    ]


def _histogram_note(metric: Metric, values: Floats, top: float, found: Distribution) -> str:
    note = f"{found.n:,} values, worth {found.effective_n:,.0f} independent ones."
    if beyond := int((values > top).sum()):
        note += f" {beyond:,} beyond the chart, up to {decimal(float(values.max()))} {metric.unit}."
    if found.censored:
        note += f" {found.censored:,} never ended, and are not in it."
    return note


def percentiles(metric: Metric, samples: Mapping[str, Sample], total: Distribution) -> Figure:
    """Return the value below which each share of the requests lies.

    Args:
        samples: By replica, and under ``all`` those of all together.
    """
    largest = max(len(sample.values) for sample in samples.values())
    end = math.log10(max(largest, 2))
    traces = []
    if len(samples) > 2:
        names = [name for name in samples if name != "all"]
        traces = [_curve(n, metric, samples[n], _thin(i)) for i, n in enumerate(names)]
    traces.append(_curve("all", metric, samples["all"], {"color": INK, "width": 2.2}))
    return figure(
        f"{metric.title} by percentile",
        [*traces, *_known(metric, total)],
        x=Axis(title="% of values at most that", low=-0.05, high=end + 0.1, ticks=_ticks(end)),
        y=Axis(title=metric.axis),
        marks=metric.limits(upright=False),
        note="Bars are 95 % intervals; △ is a bound where the sample carries no more.",
    )


def _thin(index: int) -> dict[str, object]:
    return {"color": series_color(index), "width": 1.3, "dash": series_dash(index)}


def _curve(name: str, metric: Metric, sample: Sample, style: dict[str, object]) -> Trace:
    """Return the curve of a sample, as far as it has values: to the share 1 - 1 / n."""
    curve = curve_of(sample.values, sample.censored)
    places = np.linspace(0, math.log10(max(len(sample.values), 2)), _PLACES)
    found = [curve.value(float(1 - 10.0**-place)) for place in places]
    values = [scaled(value, metric.scale) for value in found]
    shares = [f"{share:.4g} %" for share in (100 * (1 - 10.0**-places)).tolist()]
    hover = "%{text}: %{y:.4g} " + metric.unit
    return line(name, places.tolist(), values, line=style, text=shares, hovertemplate=hover)


def _known(metric: Metric, total: Distribution) -> list[Trace]:
    """Return the quantiles of the tables: those with an interval, and the bounds of the others."""
    whole = [(one, one.value) for one in total.quantiles if one.value is not None]
    bounds = [(one, one.low) for one in total.quantiles if one.value is None and one.low]
    found = []
    if whole:
        lows = [scaled(one.low, metric.scale) for one, _ in whole]
        highs = [scaled(one.high, metric.scale) for one, _ in whole]
        dots = _dots(metric, whole, symbol="circle")
        values = [value * metric.scale for _, value in whole]
        found.append({**dots, "error_y": interval(values, lows, highs)})
    if bounds:
        found.append(_dots(metric, bounds, symbol="triangle-up-open"))
    return found


def _dots(metric: Metric, found: list[tuple[Quantile, float]], *, symbol: str) -> Trace:
    x = [-math.log10(1 - one.p) for one, _ in found]
    y = [value * metric.scale for _, value in found]
    marker = {"color": INK, "size": 8 if symbol == "circle" else 11, "symbol": symbol}
    return points(symbol, x, y, marker=marker, showlegend=False, hoverinfo="skip")


def _ticks(end: float) -> dict[float, str]:
    places = {-math.log10(1 - share): text for share, text in _SHARES.items()}
    return {place: text for place, text in places.items() if place <= end + 0.05}
