"""What a lint looks at: the spec, and what was chosen from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from replicore.cores import CoreRange
from replicore.engines.recipe import Value
from replicore.hardware.machine import Machine
from replicore.models.shape import ModelShape

if TYPE_CHECKING:
    from replicore.spec import Spec


class LayoutLike(Protocol):
    """A layout, as ``deploy/layout.py`` chooses one."""

    @property
    def replicas(self) -> int: ...

    @property
    def tp(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def max_model_len(self) -> int: ...

    @property
    def ranges(self) -> tuple[CoreRange, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A deployment that was laid out, and is not started.

    Attributes:
        compiled: What the artefact that its replicas would load was compiled with, by dotted key of
            the spec; None where there is none.
    """

    spec: Spec
    shape: ModelShape
    machine: Machine
    layout: LayoutLike
    compiled: Mapping[str, Value] | None = None

    @property
    def slots(self) -> int:
        """Requests that all replicas together work on at the same time."""
        return self.layout.replicas * self.layout.batch_size
