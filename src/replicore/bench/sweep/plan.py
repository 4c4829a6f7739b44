"""What a sweep measures, and in which order. Pure.

A **visit** is one deployment of a layout: it is started, warmed, measured at each of its loads and
stopped. One **repeat** visits every layout once; every other repeat does so in the reverse order
(A B, B A, A B ...), loads included, so that a machine that gets slower or faster meanwhile favours
no layout.

In one repeat every layout gets the same prompts at the same load; prompts of different repeats and
loads differ, so that no run is answered from what another one left in a prefix cache.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from replicore.errors import ConfigError
from replicore.wording import quoted

AUTO = "auto"

# Fewer requests than this per place of the closed loop are mostly its start and its end.
REQUESTS_PER_PLACE = 10

_LAYOUT = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})(?:x([1-9][0-9]{0,5}))?")
_LAYOUT_FORM = "write REPLICASxTP, such as 2x8, or 2x8x4 with 4 slots per replica"


@dataclass(frozen=True, slots=True)
class SweptLayout:
    """Replicas, cores of each, and slots of each where they are not those of the spec."""

    replicas: int
    tp: int
    batch_size: int | None = None

    def __str__(self) -> str:
        sizes = [self.replicas, self.tp, *([self.batch_size] if self.batch_size else [])]
        return "x".join(map(str, sizes))

    @property
    def alone(self) -> SweptLayout:
        """One of its replicas on its own: what its scaling is measured against."""
        return SweptLayout(1, self.tp, self.batch_size)


@dataclass(frozen=True, slots=True)
class Arm:
    """A layout and the loads that it is measured at.

    Attributes:
        concurrencies: Requests in flight, ascending.
        baseline: Whether it was not asked for: it is measured for the scaling of another one, and
            cannot win.
    """

    layout: SweptLayout
    concurrencies: tuple[int, ...]
    baseline: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One run."""

    layout: str
    concurrency: int
    repeat: int


@dataclass(frozen=True, slots=True)
class Visit:
    """One deployment, and the loads that it is measured at, in this order."""

    layout: SweptLayout
    repeat: int
    concurrencies: tuple[int, ...]

    def point(self, concurrency: int) -> Point:
        return Point(str(self.layout), concurrency, self.repeat)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """A whole sweep.

    Attributes:
        repeats: Runs of each layout at each load.
        requests: Of a run, at least.
        per_place: Requests of a run for each in flight, at least.
        seed: The prompts of all runs follow from it.
    """

    arms: tuple[Arm, ...]
    repeats: int
    requests: int
    per_place: int = REQUESTS_PER_PLACE
    seed: int

    def points(self) -> Iterator[Point]:
        """Yield every run, in no particular order."""
        for visit in self.visits():
            yield from map(visit.point, visit.concurrencies)

    def visits(self, done: Collection[Point] = ()) -> Iterator[Visit]:
        """Yield the deployments in their order, each with the loads that are not ``done``."""
        for repeat in range(self.repeats):
            step = -1 if repeat % 2 else 1
            for arm in self.arms[::step]:
                visit = Visit(arm.layout, repeat, arm.concurrencies[::step])
                left = tuple(c for c in visit.concurrencies if visit.point(c) not in done)
                if left:
                    yield Visit(arm.layout, repeat, left)

    def with_seed(self, seed: int) -> SweepPlan:
        return replace(self, seed=seed)

    def requests_at(self, concurrency: int) -> int:
        return max(self.requests, self.per_place * concurrency)

    def seed_of(self, point: Point) -> int:
        """Return the seed of a run's prompts: of 32 bits, and the same for every layout."""
        key = f"{self.seed} {point.concurrency} {point.repeat}"
        return int.from_bytes(blake2b(key.encode(), digest_size=4).digest())

    @property
    def warm_seed(self) -> int:
        """Seed of the requests that warm a deployment; of no run."""
        return int.from_bytes(blake2b(f"{self.seed} warm".encode(), digest_size=4).digest())


def arms_of(
    layouts: Sequence[SweptLayout], concurrencies: Sequence[int], *, scaling: bool
) -> tuple[Arm, ...]:
    """Return what to measure.

    Args:
        scaling: Also measure one replica alone of every layout with several, at the load that each
            of them has: ``concurrency / replicas``, where that is whole.
    """
    loads = {layout: set(concurrencies) for layout in layouts}
    for layout in layouts if scaling else ():
        shares = {c // layout.replicas for c in concurrencies if c % layout.replicas == 0}
        if layout.replicas > 1 and shares:
            loads.setdefault(layout.alone, set()).update(shares)
    return tuple(
        Arm(layout, tuple(sorted(wanted)), baseline=layout not in layouts)
        for layout, wanted in loads.items()
    )


def parse_layouts(text: str) -> tuple[SweptLayout, ...]:
    """Return the layouts that ``1x2,2x1`` or ``2x1x8`` name.

    Raises:
        ConfigError: One is not of that form, or is named twice.
    """
    layouts = tuple(_parse_layout(part.strip(), text) for part in text.split(","))
    _refuse_twice("--layouts", text, [str(layout) for layout in layouts])
    return layouts


def _parse_layout(part: str, text: str) -> SweptLayout:
    match = _LAYOUT.fullmatch(part)
    if match is None:
        of = "" if part == text.strip() else f" of {quoted(text)}"
        raise ConfigError(
            f"--layouts: {quoted(part)}{of} is no layout; {_LAYOUT_FORM}, or {AUTO} alone"
        )
    replicas, tp, batch_size = match.groups()
    return SweptLayout(int(replicas), int(tp), int(batch_size) if batch_size else None)


def parse_concurrencies(text: str) -> tuple[int, ...]:
    """Return the loads that ``1,4,8`` names, ascending.

    Raises:
        ConfigError: One is not a number of at least 1, or is named twice.
    """
    return parse_counts("--concurrency", text, of="requests in flight")


def parse_counts(flag: str, text: str, *, of: str) -> tuple[int, ...]:
    """Return the numbers of something that the value of a flag lists, ascending.

    Raises:
        ConfigError: One is not a number of at least 1, or is named twice.
    """
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not part.isascii() or not part.isdigit() or not 1 <= int(part) <= 1_000_000:
            raise ConfigError(
                f"{flag}: {quoted(part)} is no number of {of}; "
                "write whole numbers from 1 to 1000000, such as 1,4,8"
            )
    numbers = [int(part) for part in parts]
    _refuse_twice(flag, text, [str(number) for number in numbers])
    return tuple(sorted(numbers))


def _refuse_twice(flag: str, text: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{flag}: {quoted(text)} names {name} twice; write it once")
        seen.add(name)
