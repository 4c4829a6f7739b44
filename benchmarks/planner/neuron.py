"""How well the planner knows static batches, on published results of Trainium and Inferentia.

    python -m benchmarks.planner.neuron --rows ../shared/data/neuron_perf.csv [--calibrate CSV]

Every row is predicted by factors that were fitted without it: to a random half of the rows, or to
those of all other models, tensor parallel degrees, devices, lengths, or ways to serve. Models of
the same sizes are one model.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.planner.neuron_rows import read_neuron, replicas
from benchmarks.planner.rows import Row, number
from replicore.planner.prediction import static_priors
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.traffic import Observation

# Largest median error of TPOT in per cent, by split.
BARS = {"random half": 7.0, "model": 9.0}

_HALVES = 5

Errors = dict[str, float]
Seen = tuple[Row, Observation]


def neuron_report(path: Path, known: Path | None = None) -> dict[str, Any]:
    """Return the errors of all splits, and how many rows were refused for which reason.

    Args:
        known: Rows to fit to for one more split, "other file": those of ``path`` that are not
            among them are predicted.
    """
    rows = read_neuron(path)
    seen = _seen(rows)
    splits = {name: split_errors(seen, parts) for name, parts in _splits(seen)}
    if known is not None:
        splits["other file"] = _other_file(seen, _seen(read_neuron(known)))
    return {
        "rows": len(rows),
        "answered": len(seen),
        "refused": dict(Counter(row.refusal for row in rows if row.refusal).most_common()),
        "splits": splits,
        "bars": BARS,
    }


def distinct(one: Observation) -> Hashable:
    """Return what tells two rows apart, whichever file they are in; files round differently."""
    return one.case, f"{one.tpot_s:.3g}"


def _seen(rows: Sequence[Row]) -> list[Seen]:
    return [(row, row.observation) for row in rows if row.observation is not None]


def _other_file(seen: Sequence[Seen], known: Sequence[Seen]) -> dict[str, Errors]:
    among = {distinct(one) for _, one in known}
    new = [(row, one) for row, one in seen if distinct(one) not in among]
    both = [*known, *new]
    return split_errors(both, [range(len(known), len(both))])


def fitted(observations: Sequence[Observation]) -> Predictor:
    """Return a predictor of static batches, which share their factors with nothing else."""
    return calibrate(observations, tpot_prior=static_priors.TPOT, ttft_prior=static_priors.TTFT)


def split_errors(seen: Sequence[Seen], parts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return the errors of the rows of each part, predicted from the rows of no part but others."""
    found: dict[str, list[float]] = {}
    for part in parts:
        held_out = set(part)
        known = [one for at, (_, one) in enumerate(seen) if at not in held_out]
        if known and part:
            _collect(found, fitted(known), [seen[at] for at in part])
    return {name: _summary(errors) for name, errors in found.items()}


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return the report for people."""
    head = f"{report['answered']} of {report['rows']} rows answered"
    table = [head, f"{'left out':<12} {'of':<34} {'median':>7} {'mean':>7} {'p90':>7} {'rows':>5}"]
    for split, metrics in report["splits"].items():
        table += [_line(split, name, errors) for name, errors in metrics.items()]
    return [*table, *(f"refused {rows}: {reason}" for reason, rows in report["refused"].items())]


def _line(split: str, name: str, errors: Errors) -> str:
    percents = " ".join(f"{errors[key]:6.1f}%" for key in ("median", "mean", "p90"))
    return f"{split:<12} {name:<34} {percents} {errors['rows']:5}"


def _splits(seen: Sequence[Seen]) -> Iterator[tuple[str, list[list[int]]]]:
    yield "random half", [half for seed in range(_HALVES) for half in _halves(len(seen), seed)]
    for name, key in _KEYS.items():
        groups: dict[Hashable, list[int]] = {}
        for at, one in enumerate(seen):
            groups.setdefault(key(one), []).append(at)
        yield name, list(groups.values())


def _halves(rows: int, seed: int) -> tuple[list[int], list[int]]:
    order = list(range(rows))
    random.Random(seed).shuffle(order)
    return order[: rows // 2], order[rows // 2 :]


def _model(seen: Seen) -> Hashable:
    anatomy = seen[1].case.replica.anatomy
    return anatomy.layers, anatomy.hidden, anatomy.parameters


def _lengths(seen: Seen) -> Hashable:
    traffic = seen[1].case.traffic
    return traffic.input_tokens, traffic.output_tokens


_KEYS: Mapping[str, Callable[[Seen], Hashable]] = {
    "model": _model,
    "tp": lambda seen: seen[1].case.replica.tp,
    "device": lambda seen: seen[1].case.replica.device.key,
    "lengths": _lengths,
    "framework": lambda seen: seen[0].values.get("framework", ""),
}


def _collect(found: dict[str, list[float]], predictor: Predictor, held_out: Sequence[Seen]) -> None:
    """Add the errors of rows to those of each metric and kind that they are of."""
    cases = [one.case for _, one in held_out]
    tpot = predictor.tpot(cases).seconds
    ttft = predictor.ttft(cases, tpot).seconds
    for (row, one), tpot_s, ttft_s in zip(held_out, tpot, ttft, strict=True):
        for metric, error in _errors(row, one, float(tpot_s), float(ttft_s)):
            found.setdefault(f"{metric}, all", []).append(error)
            found.setdefault(f"{metric}, {_kind(one)}", []).append(error)


def _errors(
    row: Row, one: Observation, tpot_s: float, ttft_s: float
) -> Iterator[tuple[str, float]]:
    if one.tpot_s is not None:
        yield "TPOT", abs(tpot_s / one.tpot_s - 1)
    if one.ttft_s is None:
        return
    yield "TTFT", abs(ttft_s / one.ttft_s - 1)
    reported = number(row.values, "throughput_tok_s")
    if reported is not None and row.values.get("throughput_kind", "output") == "output":
        predicted = output_per_s(one, tpot_s, ttft_s) * replicas(row)
        yield "throughput", abs(predicted / _all_replicas(row, reported) - 1)


def _all_replicas(row: Row, reported: float) -> float:
    """One user of several replicas keeps one of them busy."""
    users = number(row.values, "concurrency")
    idle = users is not None and users < replicas(row)
    return reported * replicas(row) if idle else reported


def output_per_s(one: Observation, tpot_s: float, ttft_s: float) -> float:
    """Return the output tokens per second of a closed loop: n O / (TTFT + (O - 1) TPOT)."""
    traffic = one.case.traffic
    took = ttft_s + (traffic.output_tokens - 1) * tpot_s
    return traffic.concurrency * traffic.output_tokens / took


def _kind(one: Observation) -> str:
    static = one.case.replica.static
    if one.case.replica.anatomy.experts is not None:
        return "models with experts"
    return "batches run by themselves" if static and static.together else "servers"


def _summary(errors: Sequence[float]) -> Errors:
    percents = 100 * np.array(errors)
    return {
        "median": round(float(np.median(percents)), 2),
        "mean": round(float(percents.mean()), 2),
        "p90": round(float(np.quantile(percents, 0.9)), 2),
        "rows": len(errors),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, metavar="CSV")
    parser.add_argument("--calibrate", type=Path, metavar="CSV")
    arguments = parser.parse_args()
    print("\n".join(lines(neuron_report(arguments.rows, arguments.calibrate))))


if __name__ == "__main__":
    main()
