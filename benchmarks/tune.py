"""How few runs `replicore tune` needs, held against measuring every layout.

    python -m benchmarks.tune [--embedded]

On the simulator's machines: devices, models, lengths and limits in all combinations, where the
truth is known by formula. ``--embedded`` tunes the embedded engine on this machine too, for some
minutes. Writes ``results/tune.json``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean

from benchmarks.result_file import write_result
from benchmarks.tuning.embedded import tune_embedded
from benchmarks.tuning.scenarios import scenarios
from benchmarks.tuning.search import LOOKS, Judged, Search, search

_SEED = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--budget", type=int, default=6, help="runs on the embedded engine")
    parser.add_argument("--requests", type=int, default=40, help="of each of these runs")
    options = parser.parse_args()
    found = [search(one, _SEED + index) for index, one in enumerate(scenarios())]
    searches = [one for one in found if one is not None]
    after = {f"{at} runs": figures([one.looks[at] for one in searches]) for at in LOOKS}
    after["end"] = figures([one.final for one in searches])
    settings: dict[str, object] = {
        "seed": _SEED,
        "scenarios": len(searches),
        "scenarios_without_a_valid_layout": len(found) - len(searches),
        "pick_after": after,
        "runs_until_the_end": dict(sorted(Counter(one.runs for one in searches).items())),
        "mean_runs": round(mean(one.runs for one in searches), 2),
        "mean_layouts": round(mean(one.layouts for one in searches), 1),
    }
    for line in lines(after):
        print(line)
    print(f"{settings['mean_runs']} of {settings['mean_layouts']} layouts were run, on average")
    if options.embedded:
        made = tune_embedded(budget=options.budget, requests=options.requests)
        settings["embedded"] = made
    print(write_result("tune", [_row(one) for one in searches], settings=settings))


def figures(judged: Sequence[Judged]) -> dict[str, float]:
    """Return shares over scenarios; ``value`` counts a broken limit as 0."""
    valid = [one.value for one in judged if not one.violates]
    return {
        "violating": round(mean(one.violates for one in judged), 4),
        "exact_best": round(mean(one.value > 1 - 1e-9 for one in judged), 4),
        "achieved_over_optimal": round(mean(valid), 4) if valid else 0.0,
        "value": round(mean(one.value for one in judged), 4),
        "worst": round(min(one.value for one in judged), 4),
    }


def lines(after: Mapping[str, Mapping[str, float]]) -> list[str]:
    head = f"{'':8} violating  exact best  achieved/optimal  value  worst"
    return [head] + [
        f"{name:8} {row['violating']:9.1%}  {row['exact_best']:10.1%}  "
        f"{row['achieved_over_optimal']:16.3f}  {row['value']:5.3f}  {row['worst']:5.3f}"
        for name, row in after.items()
    ]


def _row(one: Search) -> dict[str, object]:
    return {
        "scenario": one.scenario,
        "layouts": one.layouts,
        "best": one.best,
        "runs": one.runs,
        "looks": {str(at): asdict(judged) for at, judged in one.looks.items()},
        "final": asdict(one.final),
    }


if __name__ == "__main__":
    main()
