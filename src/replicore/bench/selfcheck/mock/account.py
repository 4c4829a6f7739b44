"""What the mock saw and sent, and how late it was: the proof of the load that it held. Pure."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import pairwise

from replicore.bench.selfcheck.mock.spread import Durations, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the mock saw since it was started or reset.

    Attributes:
        streams: Requests with a stream, whole or not.
        distinct: How many of these had different bodies.
        finished: Streams whose every token was sent.
        others: Requests without a stream.
        tokens: Sent.
        most_in_flight: Most streams at once.
        held_share: Share of the time, from the first moment with as many streams as was asked about
            to the last one, with exactly that many; None without a question.
        began_s: When the first of them came, on ``time.perf_counter``; 0 before.
        busy_s: From then to the end of the last stream.
        cpu_s: CPU time of the mock; near ``busy_s``, it could not do more.
        late: How long after its planned time each token went out.
        ttft: From each request's arrival to its first token, as sent.
        gap: Between the tokens of a stream, as sent.
    """

    streams: int
    distinct: int
    finished: int
    others: int
    tokens: int
    most_in_flight: int
    held_share: float | None
    began_s: float
    busy_s: float
    cpu_s: float
    late: Spread
    ttft: Spread
    gap: Spread


@dataclass(slots=True)
class Account:
    """Counts while the mock serves; times are of the mock's clock."""

    streams: int = 0
    finished: int = 0
    others: int = 0
    in_flight: int = 0
    late: Durations = field(default_factory=Durations)
    ttft: Durations = field(default_factory=Durations)
    gap: Durations = field(default_factory=Durations)
    _bodies: set[int] = field(default_factory=set)
    _times: array[float] = field(default_factory=lambda: array("d"))
    _counts: array[int] = field(default_factory=lambda: array("l"))

    def begin(self, now: float, body: int) -> None:
        """Count a stream; ``body`` is a hash of what was asked."""
        self.streams += 1
        self._bodies.add(body)
        self._change(now, 1)

    def end(self, now: float, *, whole: bool) -> None:
        self.finished += whole
        self._change(now, -1)

    def report(self, *, cpu_s: float, in_flight: int | None = None) -> Report:
        """Return what was counted, and how well ``in_flight`` streams were kept up."""
        times, late = self._times, self.late.spread()
        return Report(
            streams=self.streams,
            distinct=len(self._bodies),
            finished=self.finished,
            others=self.others,
            tokens=late.n,
            most_in_flight=max(self._counts, default=0),
            held_share=None if in_flight is None else self._held_share(in_flight),
            began_s=times[0] if times else 0.0,
            busy_s=times[-1] - times[0] if times else 0.0,
            cpu_s=cpu_s,
            late=late,
            ttft=self.ttft.spread(),
            gap=self.gap.spread(),
        )

    def _change(self, now: float, by: int) -> None:
        self.in_flight += by
        self._times.append(now)
        self._counts.append(self.in_flight)

    def _held_share(self, in_flight: int) -> float:
        changes = zip(self._times, self._counts, strict=True)
        spans = [(end - start, count) for (start, count), (end, _) in pairwise(changes)]
        full = [place for place, (_, count) in enumerate(spans) if count >= in_flight]
        if not full:
            return 0.0
        window = spans[full[0] : full[-1] + 1]
        length = sum(span for span, _ in window)
        held = sum(span for span, count in window if count == in_flight)
        return held / length if length else 0.0
