"""What a run in any mode leaves behind. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from replicore.bench.llmperf.entries import Entry
from replicore.bench.record import BenchResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run in LLMPerf's terms.

    Attributes:
        elapsed_s: What rates are divided by.
        timed_out: Whether the time was over before all requests were.
        interrupted: Whether Ctrl-C ended it; requests that it cut off have no entry.
    """

    entries: tuple[Entry, ...]
    elapsed_s: float
    timed_out: bool
    interrupted: bool

    @property
    def succeeded(self) -> int:
        """Requests without an error."""
        return sum(entry.error_code is None for entry in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A run in LLMPerf's terms, and in ours.

    Attributes:
        result: None in the old modes: what they send says nothing of a server.
        notes: What must be known to read the numbers, one sentence each.
    """

    outcome: Outcome
    result: BenchResult | None = None
    notes: tuple[str, ...] = ()
