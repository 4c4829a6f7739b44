"""How far a compile is, by the lines that it prints. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from replicore.engines.recipe import Stage


class Stages:
    """The stages of a recipe, and the one that its log is in.

    Attributes:
        reached: Number of the current one, from 1; 0 before the first.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.reached = 0
        self._stages = tuple((re.compile(stage.pattern), stage.label) for stage in stages)

    @property
    def total(self) -> int:
        return len(self._stages)

    @property
    def label(self) -> str:
        """What it does now; empty before the first stage."""
        return self._stages[self.reached - 1][1] if self.reached else ""

    def read(self, line: str) -> bool:
        """Take note of a line; return whether a later stage begins with it."""
        for number in range(self.total, self.reached, -1):
            if self._stages[number - 1][0].search(line):
                self.reached = number
                return True
        return False
