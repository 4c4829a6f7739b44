"""Core ranges: the cores of a machine, a deployment or one replica.

The text form is that of ``NEURON_RT_VISIBLE_CORES`` and of Linux's CPU lists: core numbers from 0
and inclusive ranges, joined by commas, as in ``0-31`` or ``0,1,4-7``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

from replicore.errors import ConfigError
from replicore.wording import quoted

# Linux has at most 8192 CPUs (NR_CPUS); the limit keeps a slip such as "0-9999999999" from filling
# the memory before anything can compare it with the machine.
MAX_CORE = 65_535

_PART = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_FORM = f'numbers from 0 to {MAX_CORE}, such as "0-3" or "0,2,4-7"'


@dataclass(frozen=True, slots=True)
class CoreRange:
    """A set of cores, in ascending order; it may have gaps, and it may be empty.

    Attributes:
        cores: Core numbers, ascending, each once. :meth:`of` takes them in any order.
    """

    cores: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(after <= before for before, after in pairwise(self.cores)):
            raise ValueError(f"cores are not ascending: {self.cores}")
        if self.cores and self.cores[0] < 0:
            raise ValueError(f"core numbers start at 0: {self.cores}")

    @classmethod
    def of(cls, cores: Iterable[int]) -> CoreRange:
        """Return the range of these cores, in any order and with repeats."""
        return cls(tuple(sorted(set(cores))))

    @classmethod
    def parse(cls, text: str) -> CoreRange:
        """Return the range that ``text`` names; at least one core.

        Raises:
            ConfigError: No core, a core twice, a reversed range, or something that is no number up
                to ``MAX_CORE``.
        """
        if not text.strip():
            raise ConfigError(f"core range {quoted(text)} names no core; write {_FORM}")
        parts = [_parse_part(part.strip(), text) for part in text.split(",")]
        cores = sorted(chain.from_iterable(parts))
        repeated = cls.of(core for core, after in pairwise(cores) if core == after)
        if repeated:
            raise ConfigError(
                f"core range {quoted(text)} names {repeated} more than once; "
                f'write "{cls.of(cores)}"'
            )
        return cls(tuple(cores))

    @property
    def is_contiguous(self) -> bool:
        """Whether there is no gap."""
        return not self.cores or self.cores[-1] - self.cores[0] + 1 == len(self.cores)

    def is_aligned(self, size: int) -> bool:
        """Whether the range has no gap and starts on a multiple of ``size``."""
        return self.is_contiguous and (not self.cores or self.cores[0] % size == 0)

    def overlaps(self, other: CoreRange) -> bool:
        """Whether at least one core is in both."""
        return not set(self.cores).isdisjoint(other.cores)

    def split(self, size: int) -> tuple[CoreRange, ...]:
        """Return the pieces of ``size`` cores each, in ascending order.

        Raises:
            ConfigError: ``size`` does not divide the number of cores.
        """
        count = len(self.cores)
        if size < 1 or count % size:
            divisors = ", ".join(str(d) for d in range(1, count + 1) if count % d == 0)
            raise ConfigError(
                f'the {count} cores "{self}" do not split into ranges of {size}; '
                f"these sizes do: {divisors}"
            )
        return tuple(CoreRange(self.cores[i : i + size]) for i in range(0, count, size))

    def __str__(self) -> str:
        return ",".join(_runs(self.cores))

    def __len__(self) -> int:
        return len(self.cores)

    def __iter__(self) -> Iterator[int]:
        return iter(self.cores)

    def __contains__(self, core: object) -> bool:
        return core in self.cores

    def __or__(self, other: CoreRange) -> CoreRange:
        return CoreRange.of(self.cores + other.cores)

    def __and__(self, other: CoreRange) -> CoreRange:
        return CoreRange.of(set(self.cores).intersection(other.cores))

    def __sub__(self, other: CoreRange) -> CoreRange:
        return CoreRange.of(set(self.cores).difference(other.cores))


NO_CORES = CoreRange(())


def _parse_part(part: str, text: str) -> range:
    match = _PART.fullmatch(part)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, MAX_CORE + 1)
    if max(first, last) > MAX_CORE:
        raise ConfigError(
            f"core range {quoted(text)}: {quoted(part)} is not a core number or a range of them; "
            f"write {_FORM}"
        )
    if last < first:
        raise ConfigError(
            f"core range {quoted(text)}: {quoted(part)} is reversed; "
            f'write "{CoreRange.of(range(last, first + 1))}"'
        )
    return range(first, last + 1)


def _runs(cores: tuple[int, ...]) -> Iterator[str]:
    """Yield the text of each stretch without a gap."""
    for _, run in groupby(enumerate(cores), key=lambda place: place[1] - place[0]):
        stretch = [core for _, core in run]
        yield f"{stretch[0]}-{stretch[-1]}" if len(stretch) > 1 else f"{stretch[0]}"
