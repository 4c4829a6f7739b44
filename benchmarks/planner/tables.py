"""What the benchmark prints: tables of errors, coverage and decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.planner.decisions import PUBLISHED

Figures = Mapping[str, object]

# Of the same corpus, half of it held out where something was calibrated: median, p90 in %.
_OTHERS = (
    ("aiconfigurator 0.12, 481 dense rows", "TPOT", "12.4", "44.2"),
    ("aiconfigurator 0.12, 481 dense rows", "TTFT", "46.3", "88.5"),
    ("aiconfigurator 0.12, 481 dense rows", "throughput", "12.0", "34.7"),
    ("calibrated roofline, half held out", "TPOT", "6.2", "17.6"),
    ("calibrated roofline, half held out", "TTFT", "18.9", "-"),
    ("calibrated roofline, half held out", "throughput", "6.5", "-"),
)


def coverage_lines(coverage: Figures) -> Iterator[str]:
    refused = coverage["refused"]
    yield f"{coverage['answered']} of {coverage['rows']} rows answered"
    if isinstance(refused, Mapping):
        for reason, rows in refused.items():
            yield f"  {rows:>5}  {reason}"


def error_lines(errors: Sequence[Figures]) -> Iterator[str]:
    """Yield a table of errors in per cent; ``80 %`` is how often that interval held the truth."""
    yield _error_line("split", "models", "hardware", "engine", "metric", "rows", *_NUMBERS)
    for row in errors:
        told = (row[name] for name in ("split", "models", "hardware", "engine", "metric"))
        numbers = (_percent(row[name]) for name in ("median", "mean", "p90", "within_80"))
        yield _error_line(*map(str, told), str(row["predictions"]), *numbers)


_NUMBERS = ("median", "mean", "p90", "80 %")


def _error_line(*words: str) -> str:
    split, models, hardware, engine, metric, *numbers = words
    told = f"{split:<26}{models:<8}{hardware:<9}{engine:<8}{metric:<11}"
    return told + "".join(f"{number:>8}" for number in numbers)


def others_lines() -> Iterator[str]:
    for name, metric, median, p90 in _OTHERS:
        yield f"{name:<51}{metric:<19}{median:>8}{'':>8}{p90:>8}"


def decision_lines(decisions: Sequence[Figures]) -> Iterator[str]:
    yield _decision_line("policy", "runs", "violate", "exact", "of best", "value")
    for row in (*decisions, *PUBLISHED):
        numbers = ("violations", "exact_best", "achieved_of_valid", "value")
        told = str(row["policy"]), str(row["runs"])
        yield _decision_line(*told, *(_percent(row.get(name)) for name in numbers))


def _decision_line(policy: str, runs: str, *numbers: str) -> str:
    return f"{policy:<36}{runs:>5}" + "".join(f"{number:>9}" for number in numbers)


def _percent(share: object) -> str:
    return f"{100 * share:.1f}" if isinstance(share, float | int) else "-"
