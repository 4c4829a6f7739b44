"""A process to start, as an engine describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from replicore.cores import CoreRange

# Of a Python program: `python -m` would import from the working directory first
SAFE_PATH: Mapping[str, str] = MappingProxyType({"PYTHONSAFEPATH": "1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start.

    Attributes:
        argv: Program and arguments.
        env: Variables set on top of the inherited environment.
        unset: Inherited variables taken away.
        affinity: CPUs that the process and all its threads are pinned to; None inherits.
        segments: What the names in ``/dev/shm`` begin with by which its processes share memory.
            They have all opened them by the time the replica is ready: the names are taken away
            then, and the memory is freed with the last process, whatever is killed.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    affinity: CoreRange | None = None
    segments: tuple[str, ...] = ()
