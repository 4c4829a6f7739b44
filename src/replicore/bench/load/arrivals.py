"""When requests are sent: a closed loop, or a plan of arrivals. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Arrivals(Protocol):
    """An open loop: times that do not depend on how fast anybody answers."""

    def times(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Return when each request should leave, ``(count,)``, ascending, in seconds from 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How requests are sent.

    Attributes:
        concurrency: Requests, or sessions, kept in flight; with ``arrivals`` the most that may be
            in flight, None for any number.
        arrivals: None for a closed loop.
    """

    concurrency: int | None
    arrivals: Arrivals | None = None
