"""Steps in a row that nobody joins or leaves, as one event. Pure.

Within a stretch every step has the same sequences, and each of these one token more of context
than in the step before. So where the length of a step is linear in the context, as in
:class:`~replicore.engines.sim.steptime.StepTime`, the lengths are an arithmetic series: step 1
takes ``first_s``, every further one ``growth_s`` more, and j steps together::

    j * first_s + j * (j - 1) / 2 * growth_s

That is exact. Where it is not linear a stretch is cut in half until the length of its middle step
is within ``TOLERANCE`` of the straight line between its ends.
"""

from __future__ import annotations

from math import sqrt

from replicore.planner.simulate.model import Steps

TOLERANCE = 1e-3


class Stretch:
    """So many steps, from ``start`` on.

    Attributes:
        start: Seconds on the simulation's clock.
        count: Steps; at least 1.
        end: When the last one ends.
    """

    __slots__ = ("count", "end", "first_s", "growth_s", "start")

    def __init__(self, start: float, first_s: float, growth_s: float = 0.0, count: int = 1) -> None:
        self.start = start
        self.first_s = first_s
        self.growth_s = growth_s
        self.count = count
        self.end = self.end_of(count)

    def end_of(self, step: int) -> float:
        """Return when the given step ends, counted from 1; of step 0 the start."""
        return self.start + step * (self.first_s + (step - 1) / 2 * self.growth_s)

    def done(self, at: float) -> int:
        """Return how many steps have ended at a time, one that ends then included."""
        if at >= self.end:
            return self.count
        guess = self._solved(at - self.start)
        while guess > 0 and self.end_of(guess) > at:
            guess -= 1
        while guess < self.count and self.end_of(guess + 1) <= at:
            guess += 1
        return guess

    def cut(self, at: float) -> None:
        """Let it end with the step that is worked on at a time."""
        count = self.done(at) + 1
        if count < self.count:
            self.count = count
            self.end = self.end_of(count)

    def _solved(self, seconds: float) -> int:
        # The root of g j² / 2 + (f - g / 2) j - s in the form that also holds for g = 0.
        linear = self.first_s - self.growth_s / 2
        below = linear + sqrt(max(0.0, linear * linear + 2 * self.growth_s * seconds))
        return min(self.count, int(2 * seconds / below)) if below > 0 and seconds > 0 else 0


def decode_stretch(steps: Steps, start: float, sequences: int, context: int, most: int) -> Stretch:
    """Return up to ``most`` decode steps, as many as are close to an arithmetic series.

    Args:
        context: Tokens that the sequences attend to in the first step, together.
    """
    decode = steps.decode
    first_s = decode(sequences, context)
    count = most
    while count > 1:
        growth_s = (decode(sequences, context + sequences * (count - 1)) - first_s) / (count - 1)
        middle = (count - 1) // 2
        straight_s = first_s + middle * growth_s
        middle_s = decode(sequences, context + sequences * middle)
        if abs(middle_s - straight_s) <= TOLERANCE * straight_s:
            return Stretch(start, first_s, growth_s, count)
        count = (count + 1) // 2
    return Stretch(start, first_s)
