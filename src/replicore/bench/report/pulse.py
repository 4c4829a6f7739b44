"""What the last seconds of a run look like, from its ticks. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median

from replicore.bench.client.tick import Tick

# Rates and times to first token are of this last part of the run.
SPAN_S = 10.0
_STEP_S = 1.0
_STEPS = 30
_BLOCKS = "▁▂▃▄▅▆▇█"


class Pulse:
    """Keeps the ticks of the last seconds."""

    def __init__(self) -> None:
        self._ticks: deque[Tick] = deque()
        self._step: Tick | None = None
        self._rates: deque[float] = deque(maxlen=_STEPS)

    def add(self, tick: Tick) -> None:
        self._ticks.append(tick)
        # One tick beyond the span stays, for rates to count from.
        while len(self._ticks) > 1 and self._is_old(self._ticks[1]):
            self._ticks.popleft()
        self._step = self._step or tick
        if (step_s := tick.elapsed_s - self._step.elapsed_s) >= _STEP_S:
            tokens = max(tick.output_tokens - self._step.output_tokens, 0)
            self._rates.append(tokens / step_s)
            self._step = tick

    def _is_old(self, tick: Tick) -> bool:
        return self._ticks[-1].elapsed_s - tick.elapsed_s >= SPAN_S

    @property
    def tokens_per_s(self) -> float | None:
        """None until there are two ticks."""
        return self._rate(lambda tick: tick.output_tokens)

    @property
    def requests_per_s(self) -> float | None:
        return self._rate(lambda tick: tick.done)

    def replica_tokens_per_s(self, name: str) -> float | None:
        return self._rate(lambda tick: _of(tick, name))

    def _rate(self, amount: Callable[[Tick], int]) -> float | None:
        first, last = self._ticks[0], self._ticks[-1]
        length_s = last.elapsed_s - first.elapsed_s
        # Counts are put right when a request is over, now and then downwards.
        return max(amount(last) - amount(first), 0) / length_s if length_s > 0 else None

    @property
    def ttfts_s(self) -> list[float]:
        """Times to first token that were measured in these seconds."""
        recent = (tick for tick in self._ticks if not self._is_old(tick))
        return [value for tick in recent for value in tick.recent_ttft_s]

    @property
    def history(self) -> Sequence[float]:
        """Output tokens per second, a value for each of the last seconds."""
        return self._rates

    @property
    def remaining_s(self) -> float | None:
        """How long the rest takes at the rate of these seconds; None where nobody can tell."""
        last, rate = self._ticks[-1], self.requests_per_s
        if last.total is None or not rate:
            return None
        return (last.total - last.done) / rate


def _of(tick: Tick, name: str) -> int:
    return sum(replica.output_tokens for replica in tick.replicas if replica.name == name)


def typical(values: Sequence[float]) -> tuple[float, float] | None:
    """Return median and largest; None of nothing."""
    return (median(values), max(values)) if values else None


def sparkline(values: Sequence[float]) -> str:
    """Return a block for each value, its height from 0 to the largest one's.

    >>> sparkline([0, 5, 10])
    '▁▅█'
    """
    top = max(values, default=0) or 1
    return "".join(_BLOCKS[round(value / top * (len(_BLOCKS) - 1))] for value in values)
