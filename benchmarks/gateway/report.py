"""From what every run found to medians, and to our ratios next to the targets. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.gateway.window import Figures

OURS = "replicore"
COMPILED = "replicore-compiled"
NO_IDS = "replicore-no-ids"
TWO_WORKERS = "replicore-2-workers"
DIRECT = "direct"
RUST = ("vllm-router", "sglang-router")
RUST_ONE_THREAD = ("vllm-router-1-thread", "sglang-router-1-thread")

# What a router did under a case, in each run by its number: a run without it has no entry.
Runs = Mapping[int, Figures]
Found = Mapping[tuple[str, str], Runs]
Row = dict[str, object]


def rows_of(found: Found) -> list[Row]:
    """Return a row per router and case, with the median of every figure."""
    return [
        {"router": router, "case": case, "runs": len(runs)}
        | {name: _rounded(median(runs, name)) for name in next(iter(runs.values()))}
        for (router, case), runs in found.items()
    ]


def median(runs: Runs, figure: str) -> float:
    return statistics.median(run[figure] for run in runs.values())


@dataclass(frozen=True, slots=True)
class Target:
    """What ours must reach.

    Attributes:
        yardsticks: The better of these counts, by its median; None for the Rust routers.
        value: Of our figure and the yardstick's in the same run.
    """

    name: str
    case: str
    figure: str
    limit: float
    yardsticks: Sequence[str] | None
    value: Callable[[float, float], float]
    at_least: bool = False


def _ratio(ours: float, other: float) -> float:
    return ours / other if other else float("inf")


def _added(ours: float, other: float) -> float:
    return ours - other


TARGETS = (
    Target("CPU per request", "nostream", "cpu_per_request_us", 0.5, None, _ratio),
    Target("CPU per stream of 64", "together", "cpu_per_request_us", 0.25, None, _ratio),
    Target("CPU per single chunk", "paced", "cpu_per_chunk_us", 0.8, None, _ratio),
    Target("CPU per 200 kB prompt", "large", "cpu_per_request_us", 0.7, None, _ratio),
    Target("RSS of a worker", "nostream", "rss_of_worker_mib", 0.6, None, _ratio),
    Target("RSS of it, 1,000 streams", "idle", "rss_of_worker_mib", 0.6, None, _ratio),
    Target("added p50, ms, at 1,000/s", "latency", "p50_ms", 0.5, (DIRECT,), _added),
    Target("added p99, ms, at 1,000/s", "latency", "p99_ms", 3.0, (DIRECT,), _added),
    Target("req/s", "nostream", "requests_per_s", 10.0, ("litellm",), _ratio, at_least=True),
)


def targets_of(found: Found, rust: Sequence[str] = RUST, *, ours: str = OURS) -> list[Row]:
    """Return a row per target for which ours and a yardstick were measured."""
    rows = (_target_row(target, found, target.yardsticks or rust, ours) for target in TARGETS)
    return [row for row in rows if row is not None]


def _target_row(target: Target, found: Found, yardsticks: Sequence[str], ours: str) -> Row | None:
    own = found.get((ours, target.case), {})
    others = {
        name: median(found[name, target.case], target.figure)
        for name in yardsticks
        if (name, target.case) in found
    }
    if not own or not others:
        return None
    best = min(others, key=lambda name: others[name])
    values = _paired(target, own, found[best, target.case])
    value = statistics.median(values)
    return {
        "target": target.name,
        "yardstick": best,
        "ours": _rounded(median(own, target.figure)),
        "theirs": _rounded(others[best]),
        "value": _rounded(value),
        "lowest": _rounded(min(values)),
        "highest": _rounded(max(values)),
        "limit": f"{'>=' if target.at_least else '<='} {target.limit:g}",
        "met": value >= target.limit if target.at_least else value <= target.limit,
    }


def _paired(target: Target, ours: Runs, theirs: Runs) -> list[float]:
    """Return the value of every run that measured both: the machine's pace differs between runs."""
    both = ours.keys() & theirs.keys()
    figure = target.figure
    return [target.value(ours[run][figure], theirs[run][figure]) for run in both]


# Cases that keep a router as busy as it can be.
_CLOSED_LOOPS = ("nostream", "together", "large")


def scaling_of(found: Found, one: str, two: str) -> list[Row]:
    """Return what a second worker brings under each closed loop, and who used the cores meanwhile.

    The client and the engines share the cores with the workers, so twice as much is out of reach:
    ``possible`` is the speed-up at which nothing of two cores is idle.
    """
    rows = (_scaling_row(found, case, one, two) for case in _CLOSED_LOOPS)
    return [row for row in rows if row is not None]


def _scaling_row(found: Found, case: str, one: str, two: str) -> Row | None:
    alone, both = found.get((one, case), {}), found.get((two, case), {})
    runs = alone.keys() & both.keys()
    if not runs:
        return None
    ratios = [both[run]["requests_per_s"] / alone[run]["requests_per_s"] for run in runs]
    row: Row = {"case": case, "speed_up": _rounded(statistics.median(ratios))}
    row |= {"lowest": _rounded(min(ratios)), "highest": _rounded(max(ratios))}
    row["possible"] = _rounded(statistics.median(2 / _cores(alone[run]) for run in runs))
    for router, of in ((one, alone), (two, both)):
        row[router] = {
            figure: _rounded(median(of, figure)) for figure in ("requests_per_s", *_USERS_OF_CORES)
        }
    return row


_USERS_OF_CORES = ("router_cores", "engines_cores", "client_cores")


def _cores(figures: Figures) -> float:
    return sum(figures[user] for user in _USERS_OF_CORES)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


# What the table shows of each case.
_COLUMNS = {
    "nostream": ("cpu_per_request_us", "requests_per_s", "p99_ms", "rss_of_worker_mib", "rss_mib"),
    "idle": ("rss_mib", "rss_of_worker_mib", "rss_per_stream_kib", "router_cores"),
    "together": ("cpu_per_request_us", "requests_per_s", "p99_ms"),
    "latency": ("p50_ms", "p99_ms", "cpu_per_request_us"),
    "large": ("cpu_per_request_us", "requests_per_s", "p99_ms"),
    "paced": ("cpu_per_chunk_us", "chunks_per_s", "chunks_per_read"),
    "slow": ("engine_sent_mib", "rss_grown_mib"),
}


def text(found: Found, left_out: Mapping[str, str]) -> str:
    """Return all that is printed at the end."""
    parts = [
        *_blocks(found),
        _target_lines(found, RUST),
        _target_lines(found, RUST, COMPILED),
        _target_lines(found, RUST_ONE_THREAD),
        *(f"scaling: {row}" for row in scaling_of(found, OURS, TWO_WORKERS)),
        "\n".join(f"left out: {what}: {why}" for what, why in left_out.items()),
    ]
    return "\n\n".join(part for part in parts if part)


def _blocks(found: Found) -> Iterator[str]:
    """Yield the medians of one case after the other."""
    for case, columns in _COLUMNS.items():
        measured = {router: runs for (router, name), runs in found.items() if name == case}
        if measured:
            head = f"{case:20}" + "".join(f"{column:>20}" for column in columns)
            yield "\n".join(
                [head, *(_line(name, runs, columns) for name, runs in measured.items())]
            )


def _line(router: str, runs: Runs, columns: Sequence[str]) -> str:
    cells = "".join(f"{median(runs, column):>20.4g}" for column in columns)
    wrong = sum(run.get("wrong", 0) for run in runs.values())
    return f"{router:20}{cells}" + (f"   {wrong:g} wrong answers" if wrong else "")


def _target_lines(found: Found, rust: Sequence[str], ours: str = OURS) -> str:
    lines = [_target_line(row) for row in targets_of(found, rust, ours=ours)]
    return "\n".join([f"{ours}:", *lines]) if lines else ""


def _target_line(row: Row) -> str:
    return (
        f"{row['target']!s:26}{row['ours']!s:>9} to {row['theirs']!s:>8} of {row['yardstick']!s:22}"
        f"{row['value']!s:>9} ({row['limit']}; runs {row['lowest']} to {row['highest']}) "
        f"{'met' if row['met'] else 'NOT MET'}"
    )
