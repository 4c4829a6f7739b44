"""What a check found: for ``replicore doctor``, and for what ``up`` says before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found.

    Attributes:
        level: ``error`` cannot work; ``warning`` works, but not as somebody would expect; ``ok``
            was looked at and is as it should be.
        check: Short name of the check, such as ``compiled-length``.
        message: One sentence without a full stop: what, the value, the rule.
        fix: What to change, as ``layout.max_model_len = 8192``; empty for ``ok``.
        key: The dotted key of the spec that it is about; empty for the machine.
    """

    level: Level
    check: str
    message: str
    fix: str = ""
    key: str = ""
