"""Where the sessions of a run come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from replicore.bench.load.jobs import Job


class Source(Protocol):
    """Sessions that are made up, of a trace, or of recorded texts."""

    @property
    def limit(self) -> int | None:
        """Sessions that there are; None for any number."""
        ...

    @property
    def default(self) -> int | None:
        """Sessions that are sent where nothing else is asked for; None where that must be said."""
        ...

    def jobs(self, session: int, first: int) -> Sequence[Job]:
        """Return the requests of a session, of which ``first`` is the first's index."""
        ...
