"""What one gateway worker counts. Pure.

The Meter is on the data path: plain integers, and a bisection per histogram. Everything that has to
do with names, labels and text is left to whoever reads a :class:`Snapshot`.
"""

from __future__ import annotations

from bisect import bisect_left

from replicore.gateway.observe import catalogue
from replicore.gateway.observe.catalogue import Metric
from replicore.gateway.observe.snapshot import Count, Distribution, Labels, Snapshot
from replicore.gateway.record import Finished

# Label sets of one metric. Beyond them, all labels are "other": a bound that no deployment meets,
# in case that a word turns out to be chosen by clients.
MOST_SERIES = 1024
OTHER = "other"


class Counter:
    """A counter by labels, of at most ``MOST_SERIES`` and one series."""

    __slots__ = ("_metric", "_values")

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._values: dict[Labels, int] = {}

    def add(self, labels: Labels, count: int = 1) -> None:
        values = self._values
        if labels not in values and len(values) >= MOST_SERIES:
            labels = (OTHER,) * len(labels)
        values[labels] = values.get(labels, 0) + count

    def counts(self) -> list[Count]:
        return [Count(self._metric.name, labels, n) for labels, n in self._values.items()]


class Histogram:
    """Observations counted by upper bound, which belongs to its bucket."""

    __slots__ = ("_bounds", "_counts", "_metric", "_sum")

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._bounds = metric.bounds
        self._counts = [0] * (len(metric.bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def distribution(self, labels: Labels) -> Distribution:
        return Distribution(self._metric.name, labels, tuple(self._counts), self._sum)


class _ReplicaMeter:
    """What is counted per replica; one look-up for all of it."""

    __slots__ = ("e2e", "output_tokens", "prompt_tokens", "queue", "tpot", "ttft")

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.ttft = Histogram(catalogue.TIME_TO_FIRST_TOKEN)
        self.tpot = Histogram(catalogue.TIME_PER_OUTPUT_TOKEN)
        self.e2e = Histogram(catalogue.E2E_LATENCY)
        self.queue = Histogram(catalogue.QUEUE_TIME)

    def counts(self, name: str) -> list[Count]:
        return [
            Count(catalogue.PROMPT_TOKENS.name, (name,), self.prompt_tokens),
            Count(catalogue.OUTPUT_TOKENS.name, (name,), self.output_tokens),
        ]

    def distributions(self, name: str) -> list[Distribution]:
        histograms = (self.ttft, self.tpot, self.e2e, self.queue)
        return [histogram.distribution((name,)) for histogram in histograms]


class _CallerMeter:
    """What is counted per API key."""

    __slots__ = ("outcomes", "output_tokens", "prompt_tokens")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.prompt_tokens = 0
        self.output_tokens = 0

    def add(self, outcome: str, prompt_tokens: int, output_tokens: int) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.prompt_tokens += prompt_tokens
        self.output_tokens += output_tokens

    def counts(self, name: str) -> list[Count]:
        requests = catalogue.CALLER_REQUESTS.name
        return [
            *(Count(requests, (name, outcome), n) for outcome, n in self.outcomes.items()),
            Count(catalogue.CALLER_PROMPT_TOKENS.name, (name,), self.prompt_tokens),
            Count(catalogue.CALLER_OUTPUT_TOKENS.name, (name,), self.output_tokens),
        ]


class Meter:
    """Counts what one gateway worker does."""

    __slots__ = (
        "_breakers",
        "_callers",
        "_openings",
        "_refusals",
        "_replicas",
        "_requests",
        "_resumes",
        "_retries",
    )

    def __init__(self) -> None:
        # Keyed by the status code: the class of a status is only made for a snapshot.
        self._requests: dict[tuple[str, str, int, str | None], int] = {}
        self._replicas: dict[str | None, _ReplicaMeter] = {}
        self._callers: dict[str, _CallerMeter] = {}
        self._refusals = Counter(catalogue.REFUSALS)
        self._retries = Counter(catalogue.RETRIES)
        self._resumes = Counter(catalogue.RESUMES)
        self._openings = Counter(catalogue.BREAKER_OPENINGS)
        self._breakers: dict[str, str] = {}

    def finished(self, f: Finished) -> None:
        """Count a request that ended, whatever its end."""
        status, replica = f.status, f.replica
        key = (f.route, f.outcome, status, replica)
        requests = self._requests
        requests[key] = requests.get(key, 0) + 1
        meter = self._replicas.get(replica)
        if meter is None:
            meter = self._replicas[replica] = _ReplicaMeter()
        prompt, output = f.prompt_tokens or 0, f.output_tokens or 0
        meter.prompt_tokens += prompt
        meter.output_tokens += output
        if replica is not None or f.queue_s:
            meter.queue.observe(f.queue_s)
        if f.stream and status < 400:
            if f.ttft_s is not None:
                meter.ttft.observe(f.ttft_s)
            if f.tpot_s is not None:
                meter.tpot.observe(f.tpot_s)
        if f.outcome == "ok":
            meter.e2e.observe(f.duration_s)
        if f.caller:
            caller = self._callers.get(f.caller) or self._new_caller(f.caller)
            caller.add(f.outcome, prompt, output)

    def retried(self, replica: str, reason: str) -> None:
        """Count a request that is sent again, by the replica that failed it."""
        self._retries.add((replica, reason))

    def resumed(self, replica: str, outcome: str) -> None:
        """Count a stream that broke, by the replica that broke it."""
        self._resumes.add((replica, outcome))

    def refused(self, reason: str) -> None:
        """Count an error answer of the gateway's own."""
        self._refusals.add((reason,))

    def breaker(self, replica: str, state: str) -> None:
        """Note the state of a circuit breaker; the same one again changes nothing."""
        if state == "open" and self._breakers.get(replica) != "open":
            self._openings.add((replica,))
        self._breakers[replica] = state

    def forget(self, replica: str) -> None:
        """Drop the breaker of a replica that is gone; its counters stay."""
        self._breakers.pop(replica, None)

    def snapshot(self) -> Snapshot:
        """Return a copy of all counts."""
        replicas = [(name or "", meter) for name, meter in self._replicas.items()]
        counters = self._request_counts()
        counters += [count for name, meter in replicas for count in meter.counts(name)]
        counters += [one for name, caller in self._callers.items() for one in caller.counts(name)]
        for counter in (self._refusals, self._retries, self._resumes, self._openings):
            counters += counter.counts()
        name = catalogue.BREAKERS.name
        return Snapshot(
            counters=tuple(counters),
            gauges=tuple(Count(name, pair, 1) for pair in self._breakers.items()),
            histograms=tuple(one for name, meter in replicas for one in meter.distributions(name)),
        )

    def _new_caller(self, name: str) -> _CallerMeter:
        if len(self._callers) >= MOST_SERIES:
            name = OTHER
        return self._callers.setdefault(name, _CallerMeter())

    def _request_counts(self) -> list[Count]:
        counter = Counter(catalogue.REQUESTS)
        for (route, outcome, status, replica), count in self._requests.items():
            counter.add((route, outcome, status_class(status), replica or ""), count)
        return counter.counts()


def status_class(status: int) -> str:
    """Return ``2xx`` for 200; empty for 0, the client that left without an answer."""
    return f"{status // 100}xx" if status else ""
