"""What was counted, and what the processes used, between two moments of a load."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from benchmarks.gateway import usage
from benchmarks.gateway.client import Tally

Figures = dict[str, float]


@dataclass(slots=True)
class Target:
    """Where a load goes, and whose resources are counted.

    Attributes:
        pids: The router's processes; none where the load goes directly to an engine.
        engines: The mock engines' processes.
        engine_ports: Where each of them answers.
        key: The API key that is sent.
        seconds: How long is measured.
    """

    port: int
    pids: list[int] = field(default_factory=list)
    engines: list[int] = field(default_factory=list)
    engine_ports: list[int] = field(default_factory=list)
    key: str = "none"
    seconds: float = 3.0


class Window:
    """Counts from its making on.

    CPU time of the router has microseconds in its name or is in cores; the cores of engines and
    client tell whether one of these was the bottleneck.
    """

    def __init__(self, target: Target, tally: Tally) -> None:
        self._target = target
        self._tally = tally
        self._done, self._tokens, self._reads = tally.done, tally.tokens, tally.reads
        self._answers = len(tally.latencies)
        self._cpu = self._all_cpu()
        self._started = time.perf_counter()

    def figures(self) -> Figures:
        seconds = time.perf_counter() - self._started
        router, engines, client = (
            after - before for after, before in zip(self._all_cpu(), self._cpu, strict=True)
        )
        tally = self._tally
        return {
            "seconds": seconds,
            "requests": tally.done - self._done,
            "tokens": tally.tokens - self._tokens,
            "reads": tally.reads - self._reads,
            "wrong": tally.wrong,
            "router_cpu_s": router,
            "router_cores": router / seconds,
            "engines_cores": engines / seconds,
            "client_cores": client / seconds,
        }

    def _all_cpu(self) -> tuple[float, float, float]:
        target = self._target
        return usage.cpu_s(target.pids), usage.cpu_s(target.engines), time.process_time()

    def latencies(self) -> Figures:
        """Return p50 and p99 of the answers in the window."""
        cuts = statistics.quantiles(self._tally.latencies[self._answers :], n=100)
        return {"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}
