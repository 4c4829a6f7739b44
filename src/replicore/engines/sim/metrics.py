"""What the simulator counts, and its text form under vLLM's metric names.

Source: https://docs.vllm.ai/en/latest/usage/metrics.html
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from replicore.engines.sim.scheduler import Emission
from replicore.engines.sim.sequence import Sequence

# Upper bounds in seconds, vLLM's.
_TTFT_BOUNDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_ITL_BOUNDS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
_E2E_BOUNDS = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)

# Observations that are counted together: a hundred thousand may come in a second.
_PENDING = 4096


class Histogram:
    """Observations in seconds, counted by upper bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._pending: list[float] = []

    def observe(self, seconds: float) -> None:
        self._pending.append(seconds)
        if len(self._pending) >= _PENDING:
            self._count()

    def _count(self) -> None:
        pending = sorted(self._pending)
        self._pending.clear()
        self._sum += sum(pending)
        below = 0
        for index, bound in enumerate(self._bounds):
            up_to = bisect_right(pending, bound)
            self._counts[index] += up_to - below
            below = up_to
        self._counts[-1] += len(pending) - below

    def lines(self, name: str, label: str) -> Iterator[str]:
        self._count()
        yield f"# TYPE {name} histogram"
        bounds = [*map(str, self._bounds), "+Inf"]
        for bound, count in zip(bounds, accumulate(self._counts), strict=True):
            yield f'{name}_bucket{{le="{bound}",{label}}} {count}'
        yield f"{name}_count{{{label}}} {sum(self._counts)}"
        yield f"{name}_sum{{{label}}} {self._sum}"


class Metrics:
    """Counters since the start of the process; tokens unless named otherwise."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.prefix_cache_queries = 0
        self.prefix_cache_hits = 0
        self.finished = {"stop": 0, "length": 0, "abort": 0}
        self.time_to_first_token = Histogram(_TTFT_BOUNDS)
        self.inter_token_latency = Histogram(_ITL_BOUNDS)
        self.e2e_request_latency = Histogram(_E2E_BOUNDS)

    def record(self, steps: Iterable[Emission]) -> None:
        """Count decode steps."""
        observe = self.inter_token_latency.observe
        for sequence, at, gap, first, delta in steps:
            if first:
                self._record_prefill(sequence, gap)
            else:
                observe(gap)
            self.generation_tokens += len(delta.ids)
            if delta.finish is not None:
                self.finished[delta.finish] += 1
                self.e2e_request_latency.observe(at - sequence.arrived_at)

    def _record_prefill(self, sequence: Sequence, gap: float) -> None:
        self.prompt_tokens += sequence.prompt_tokens
        self.prefix_cache_queries += sequence.prompt_tokens
        self.prefix_cache_hits += sequence.cached_tokens
        self.time_to_first_token.observe(gap)

    def exposition(
        self,
        *,
        model: str,
        running: int,
        waiting: int,
        kv_usage: float,
        preemptions: int = 0,
        late: float = 0.0,
    ) -> str:
        """Return Prometheus' text format.

        Args:
            late: Seconds by which the oldest token that is due has been missed. Where it grows,
                this computer cannot keep up with what it simulates.
        """
        label = f'model_name="{_escape(model)}"'
        finished = [(f'finished_reason="{k}",{label}', n) for k, n in self.finished.items()]
        metrics = [
            _metric("vllm:num_requests_running", "gauge", [(label, running)]),
            _metric("vllm:num_requests_waiting", "gauge", [(label, waiting)]),
            _metric("vllm:kv_cache_usage_perc", "gauge", [(label, kv_usage)]),
            _metric("simulator:late_seconds", "gauge", [(label, late)]),
            _counter("vllm:prompt_tokens_total", label, self.prompt_tokens),
            _counter("vllm:generation_tokens_total", label, self.generation_tokens),
            _counter("vllm:prefix_cache_queries_total", label, self.prefix_cache_queries),
            _counter("vllm:prefix_cache_hits_total", label, self.prefix_cache_hits),
            _counter("vllm:num_preemptions_total", label, preemptions),
            _metric("vllm:request_success_total", "counter", finished),
            self.time_to_first_token.lines("vllm:time_to_first_token_seconds", label),
            self.inter_token_latency.lines("vllm:inter_token_latency_seconds", label),
            self.e2e_request_latency.lines("vllm:e2e_request_latency_seconds", label),
        ]
        return "".join(f"{line}\n" for metric in metrics for line in metric)


def _counter(name: str, label: str, value: float) -> Iterator[str]:
    return _metric(name, "counter", [(label, value)])


def _metric(name: str, kind: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{{{labels}}} {value}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
