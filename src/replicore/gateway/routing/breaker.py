"""A circuit breaker: after some failures in a row nothing is sent for a while. Pure.

``closed`` lets everything through; ``open`` nothing; ``half_open`` one request, whose end decides.
Under ``replicore up`` the supervisor's table says first that a replica is dead; the breaker is for
what no table knows: engines that somebody else runs, and a port that accepts and then resets.
"""

from __future__ import annotations

from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]

# Connections that failed in a row; a single reset happens with every restart of an engine.
THRESHOLD = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Breaker:
    """Counts failures of connections to one replica, not its error responses.

    Attributes:
        is_clean: Whether nothing has failed since it answered last.
        pause_s: How long it stays open the next time; doubles with every failed probe.
    """

    __slots__ = ("_failures", "is_clean", "pause_s", "state")

    def __init__(self) -> None:
        self._failures = 0
        self.is_clean = True
        self.pause_s = FIRST_PAUSE_S
        self.state: BreakerState = "closed"

    def failed(self) -> bool:
        """Note a failed connection; return whether the breaker has just opened."""
        self._failures += 1
        self.is_clean = False
        if self.state == "open" or (self.state == "closed" and self._failures < THRESHOLD):
            return False
        return self.trip()

    def trip(self) -> bool:
        """Open at once; return whether it was not open before."""
        if self.state == "open":
            return False
        if self.state == "half_open":
            self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)
        self.is_clean = False
        self.state = "open"
        return True

    def probe(self) -> None:
        """Let one request through, once the pause is over."""
        self.state = "half_open"

    def succeeded(self) -> None:
        """Note an answer."""
        self._failures = 0
        self.is_clean = True
        self.pause_s = FIRST_PAUSE_S
        self.state = "closed"
