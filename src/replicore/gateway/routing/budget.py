"""How many retries the gateway may make: a share of its requests. Pure.

Without a bound, replicas that fail because they are overloaded get every request twice, and fail
more. Each request pays a fifth of a retry in, each retry takes a whole one out, and a reserve is
large enough to move all that a dead replica had in its slots. Continuing a stream is not charged:
that does not happen more than twice to a request, and its work is not new.

Source: "retry budgets" of Finagle, https://finagle.github.io/blog/2016/02/08/retry-budgets/
"""

from __future__ import annotations

_SHARE = 0.2
_RESERVE = 500.0
_RESERVE_PER_S = 10.0
_MOST = 1000.0


class RetryBudget:
    """A bucket of retries."""

    __slots__ = ("_filled_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = _RESERVE
        self._filled_at = now

    def request(self) -> None:
        """Pay in what one request earns."""
        if self._left < _MOST:
            self._left += _SHARE

    def allows(self, now: float) -> bool:
        """Whether one retry is left."""
        earned = (now - self._filled_at) * _RESERVE_PER_S
        self._filled_at = now
        self._left = min(self._left + earned, _MOST)
        return self._left >= 1

    def spend(self, now: float) -> bool:
        """Take one retry out; return whether there was one left."""
        if not self.allows(now):
            return False
        self._left -= 1
        return True
