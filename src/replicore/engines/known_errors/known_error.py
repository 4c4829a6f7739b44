"""One error that others had before. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError:
    """An error that others had before.

    Attributes:
        name: Short and unique, such as ``neuron-cores-busy``.
        pattern: Regular expression of the line that it prints; part of the line is enough.
        cause: Why it happens, in one clause.
        cure: What to do, in one clause.
        transient: Whether the same start may succeed when it is tried again.
        symptom: Whether it only says that something failed, whose reason is in another line.
        source: Where it is documented or was reported.
    """

    name: str
    pattern: str
    cause: str
    cure: str
    transient: bool = False
    symptom: bool = False
    source: str = ""

    def __str__(self) -> str:
        return f"{self.cause}; {self.cure}"
