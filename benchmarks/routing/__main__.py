"""Our routing policies, and vllm-router's ``cache_aware``, on the same sessions.

    python -m benchmarks.routing [--repeats 3] [--system sim-4] [--policy least_work]

Multi-turn chats and prompts with shared beginnings, on two llama.cpp replicas and on 2 to 16
simulated ones. The sessions of a repetition are the same for every policy, and each repetition
begins with another policy. Two cores serve client, gateway and up to 16 simulators, whose tokens
come slowly enough for that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence

import uvloop

from benchmarks.result_file import write_result
from benchmarks.routing.client import Played, play
from benchmarks.routing.report import Figures, policy_rows, table, verdicts
from benchmarks.routing.systems import POLICIES, SYSTEMS, System, running


def main() -> None:
    options = _options()
    found: dict[tuple[str, str, str], list[Figures]] = {}
    for system in options.system:
        for repeat in range(options.repeats):
            for policy in _rotated(options.policy, repeat):
                for workload, figures in measure(system, policy, seed=repeat).items():
                    found.setdefault((system.name, workload, policy), []).append(figures)
    rows, judged = policy_rows(found), verdicts(found)
    print(table(judged))
    settings = {
        "repeats": options.repeats,
        "systems": {one.name: [*one.settings] for one in SYSTEMS},
    }
    write_result("routing", [*rows, *judged], settings=settings)


def measure(system: System, policy: str, *, seed: int) -> dict[str, Figures]:
    """Return what one policy does, by workload, on a deployment of its own."""
    results = {}
    with running(system, policy) as front:
        for workload in system.workloads:
            sessions = workload.draw(system.replicas, seed)
            before = front.output_tokens()
            played = uvloop.run(play(front.url, front.model, sessions))
            made = [now - then for now, then in zip(front.output_tokens(), before, strict=True)]
            results[workload.name] = figures = figures_of(played, made)
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"{system.name}, {workload.name}, {policy}: {shown}", file=sys.stderr, flush=True)
    return results


def figures_of(played: Played, made: Sequence[float]) -> Figures:
    """Return one run's figures.

    Imbalance is the most output tokens of a replica over the mean. Cached tokens are those that the
    engine tells of, as a share of all prompt tokens; absent where it tells none.
    """
    answers = played.answers
    waits = sorted(answer.ttft_s for answer in answers)
    cached = [answer.usage.cached_tokens for answer in answers]
    figures: dict[str, float] = {
        "ttft_p50_s": statistics.median(waits),
        "ttft_p99_s": waits[min(len(waits) - 1, int(len(waits) * 0.99))],
        "e2e_mean_s": statistics.mean(answer.e2e_s for answer in answers),
        "output_tokens_per_s": played.busy_tokens / played.busy_s,
        "imbalance": max(made) / statistics.mean(made),
        "requests": len(answers),
        "failures": played.failures,
    }
    told = [tokens for tokens in cached if tokens is not None]
    if told:
        figures["cached_share"] = sum(told) / sum(one.usage.prompt_tokens for one in answers)
    return figures


def _rotated(policies: Sequence[str], by: int) -> list[str]:
    by %= len(policies)
    return [*policies[by:], *policies[:by]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = {system.name: system for system in SYSTEMS}
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--system", action="append", choices=names)
    parser.add_argument("--policy", action="append", choices=POLICIES)
    options = parser.parse_args()
    options.system = [names[name] for name in options.system or names]
    options.policy = options.policy or POLICIES
    return options


if __name__ == "__main__":
    main()
