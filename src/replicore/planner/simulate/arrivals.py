"""When the next request comes, as a run goes on. Pure."""

from __future__ import annotations

from replicore.errors import ConfigError
from replicore.planner.simulate.load import ClosedLoop, Load, OpenLoop

# When, and the number of the request.
Arrival = tuple[float, int]


class Arrivals:
    """The arrivals of a load, one after the other.

    Raises:
        ConfigError: There are more requests than the load has times or think times for.
    """

    def __init__(self, load: Load, count: int) -> None:
        self._load = load
        self._count = count
        self._come = 0
        given = load.times_s if isinstance(load, OpenLoop) else load.think_s
        if not isinstance(given, float | int) and len(given) < count:
            raise ConfigError(f"{count} requests are more than the {len(given)} times of the load")

    def first(self) -> list[Arrival]:
        """Return the arrivals that are known from the start."""
        load = self._load
        if isinstance(load, OpenLoop):
            return self._open()
        users = range(min(load.users, self._count))
        self._come = len(users)
        return [(0.0, index) for index in users]

    def after_arrival(self) -> list[Arrival]:
        """Return who comes after a request that came, if that does not depend on an end."""
        return self._open() if isinstance(self._load, OpenLoop) else []

    def after_end(self, now: float) -> list[Arrival]:
        """Return who comes because a request has left."""
        load, index = self._load, self._come
        if not isinstance(load, ClosedLoop) or index >= self._count:
            return []
        self._come += 1
        pause = load.think_s
        return [(now + float(pause if isinstance(pause, float | int) else pause[index]), index)]

    def _open(self) -> list[Arrival]:
        index = self._come
        if not isinstance(self._load, OpenLoop) or index >= self._count:
            return []
        self._come += 1
        return [(float(self._load.times_s[index]), index)]
