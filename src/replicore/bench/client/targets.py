"""The endpoints under test, and which of them a request goes to."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from replicore.errors import UpstreamError
from replicore.http.client import Pool
from replicore.http.stamped import Arrival, StampedConnector

# Connections opened at once: a server's queue of unaccepted ones may hold no more than 100, and
# what does not fit in it is tried again only after a second.
_OPENED_AT_ONCE = 32

# As many files as a process may want: there are no more ports.
_MOST_FILES = 65536


@dataclass(slots=True, eq=False)
class Target:
    """An endpoint under test.

    Attributes:
        arrival: Of the bytes that the pool's sinks are being given.
        in_flight: Our requests on their way.
        failures: Requests that failed since the last one that did not.
    """

    endpoint: str
    pool: Pool
    arrival: Arrival
    in_flight: int = 0
    failures: int = 0

    @property
    def burden(self) -> int:
        """What a new request has before it.

        A failure counts as one in flight: a dead replica answers fastest of all, and would
        otherwise draw every request of the run.
        """
        return self.in_flight + self.failures


class Targets:
    """Chooses an endpoint for each request, by one of three policies.

    ``round_robin``: each in turn. ``least_in_flight``: the one with the fewest of our requests on
    their way, of several the one least recently chosen. ``sticky``: the one that had the session's
    earlier turns, and for a new session as ``least_in_flight``.

    Args:
        first: Of equal endpoints the one to begin with: not the same in all processes.
    """

    def __init__(self, targets: Sequence[Target], dispatch: str, *, first: int = 0) -> None:
        self._targets = tuple(targets)
        self._dispatch = dispatch
        self._picked = 0
        self._by_last_use = deque(targets)
        self._by_last_use.rotate(-first)

    def pick(self, previous: Target | None = None, *, number: int | None = None) -> Target:
        """Return the endpoint of a request.

        Args:
            previous: That of its session's earlier turn.
            number: Whose turn it is in a round robin: the request's number over all processes; None
                counts the requests picked here.
        """
        self._picked += 1
        if self._dispatch == "round_robin":
            number = self._picked - 1 if number is None else number
            return self._targets[number % len(self._targets)]
        if self._dispatch == "sticky" and previous is not None:
            return previous
        return self._least()

    def _least(self) -> Target:
        target = min(self._by_last_use, key=lambda target: target.burden)
        self._by_last_use.remove(target)
        self._by_last_use.append(target)
        return target


@asynccontextmanager
async def open_targets(endpoints: Sequence[str], connections: int) -> AsyncIterator[list[Target]]:
    """Open ``connections`` to each endpoint beforehand; all are closed after the block.

    An endpoint that refuses them is still a target: that is a failure of each request to it.

    Raises:
        ConfigError: Not the base URL of a server.
    """
    _allow_files()
    arrival = Arrival()
    async with AsyncExitStack() as stack:
        targets = []
        for endpoint in endpoints:
            pool = Pool(endpoint, connect=StampedConnector(arrival))
            stack.push_async_callback(pool.close)
            await _open(pool, connections)
            targets.append(Target(endpoint, pool, arrival))
        yield targets


async def _open(pool: Pool, connections: int) -> None:
    with suppress(UpstreamError):
        for count in range(_OPENED_AT_ONCE, connections, _OPENED_AT_ONCE):
            await pool.open(count)
        await pool.open(connections)


def _allow_files() -> None:
    """Let this process open as many files as it may: the usual limit of 1024 is a small load."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
