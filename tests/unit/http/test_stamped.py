"""Times of arrival from the kernel's stamps, with clocks that a test sets."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest

from replicore.http.stamped import Arrival, StampClock


def stamp(seconds: int, nanoseconds: int = 0) -> bytes:
    """``struct scm_timestamping``: the software stamp, a deprecated one, the hardware's."""
    return struct.pack("@6l", seconds, nanoseconds, 0, 0, 0, 0)


@dataclass
class Clocks:
    """A monotonic and a wall clock; ``reading_s`` passes whenever one of them is read."""

    monotonic_s: float = 100.0
    wall_ahead_s: float = 5000.0
    reading_s: float = 0.0

    def monotonic(self) -> float:
        self.monotonic_s += self.reading_s
        return self.monotonic_s

    def wall(self) -> float:
        return self.monotonic() + self.wall_ahead_s

    def stamps(self) -> StampClock:
        return StampClock(monotonic=self.monotonic, wall=self.wall)


def test_stamp_is_converted_to_the_monotonic_clock() -> None:
    # The wall clock shows 5000 s more.
    assert Clocks().stamps().time_of(stamp(5099, 250_000_000), now=100.0) == pytest.approx(99.25)


def test_difference_of_the_clocks_is_taken_half_way_between_two_readings() -> None:
    # Readings at 1, 2 and 3 s: the wall's 5002 belongs to 2, and is 5000 more.
    clock = Clocks(monotonic_s=0.0, reading_s=1.0).stamps()

    assert clock.time_of(stamp(5002), now=3.0) == pytest.approx(2.0)


def test_wall_clock_that_is_set_is_followed_within_a_second() -> None:
    clocks = Clocks()
    clock = clocks.stamps()
    clock.time_of(stamp(5100), now=100.0)
    clocks.wall_ahead_s = 9000.0

    assert clock.time_of(stamp(9100), now=100.9) == pytest.approx(4100.0)
    assert clock.time_of(stamp(9101), now=101.0) == pytest.approx(101.0)


def test_arrival_with_a_stamp_has_its_time_and_the_lag_of_the_read() -> None:
    arrival = Arrival(Clocks().stamps())
    arrival.note(100.0, stamp(5099, 990_000_000))

    assert arrival.time == pytest.approx(99.99)
    assert arrival.lag == pytest.approx(0.01)


def test_arrival_without_a_stamp_is_at_the_read_and_has_no_lag() -> None:
    arrival = Arrival(Clocks().stamps())
    arrival.note(100.0, stamp(5099))
    arrival.note(101.0, None)

    assert (arrival.time, arrival.lag) == (101.0, None)


def test_stamp_later_than_its_read_counts_as_the_read() -> None:
    arrival = Arrival(Clocks().stamps())
    arrival.note(100.0, stamp(5101))

    assert (arrival.time, arrival.lag) == (100.0, 0.0)
