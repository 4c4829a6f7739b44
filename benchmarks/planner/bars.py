"""What the figures have to reach; a run with ``--check`` fails where one does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Figures = Mapping[str, object]

# Of dense rows: (split, metric, figure) -> at most.
ERRORS = {
    ("half held out", "TPOT", "median"): 0.06,
    ("half held out", "TPOT", "p90"): 0.17,
    ("half held out", "TTFT", "median"): 0.18,
    ("half held out", "throughput", "median"): 0.065,
    ("one workload out", "TPOT", "median"): 0.075,
    ("one workload out", "TTFT", "median"): 0.20,
    ("one workload out", "throughput", "median"): 0.08,
    ("one model out", "TPOT", "median"): 0.18,
}

# Runs made -> violations at most, value at least.
DECISIONS = {0: (0.10, 0.80), 2: (0.01, 0.97)}
POLICY = "risk 10 %"


def missed(errors: Sequence[Figures], decisions: Sequence[Figures]) -> Iterator[str]:
    """Yield a sentence for each bar that is missed, or that there is no figure for."""
    yield from _missed_errors(errors)
    yield from _missed_decisions(decisions)


def _missed_errors(errors: Sequence[Figures]) -> Iterator[str]:
    found = {
        (row["split"], row["metric"]): row
        for row in errors
        if row["models"] == "dense" and row["hardware"] == "all"
    }
    for (split, metric, figure), most in ERRORS.items():
        value = found.get((split, metric), {}).get(figure)
        if not isinstance(value, float) or value > most:
            yield f"{split}: {metric} {figure} is {value}, at most {most} is wanted"


def _missed_decisions(decisions: Sequence[Figures]) -> Iterator[str]:
    found = {row["runs"]: row for row in decisions if row["policy"] == POLICY}
    for runs, (most, least) in DECISIONS.items():
        violations = found.get(runs, {}).get("violations")
        value = found.get(runs, {}).get("value")
        if not isinstance(violations, float) or violations > most:
            yield f"decisions after {runs} runs: violations {violations}, at most {most} are wanted"
        if not isinstance(value, float) or value < least:
            yield f"decisions after {runs} runs: value {value}, at least {least} is wanted"
