"""The flags of an ``inference_demo``, from its help: they differ by version. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from replicore.errors import ConfigError
from replicore.wording import nearest

# "  --attn-kernel-enabled, --no-attn-kernel-enabled": a flag's own line is indented by two blanks
_LINE = re.compile(r"^ {2}(-.*)$", re.MULTILINE)
_NAME = re.compile(r"(?:^|, )(--[A-Za-z][\w-]*)")


@dataclass(frozen=True, slots=True)
class DemoFlags:
    """The flags that there are.

    Attributes:
        asked: Whether the program was asked; otherwise any flag may exist.
    """

    names: frozenset[str]
    asked: bool = True

    def check(self, key: str, flag: str) -> None:
        """Compare with what there is.

        Raises:
            ConfigError: There is no such flag; the message has the nearest.
        """
        if self.asked and flag not in self.names:
            near = nearest(flag, self.names)
            raise ConfigError(
                f"{key}: the installed inference_demo has no {flag}"
                + (f"; did you mean {near}?" if near else "")
            )


# Of releases since SDK 2.23, which is the tutorial's
UNASKED = DemoFlags(frozenset({"--logical-nc-config", "--save-sharded-checkpoint"}), asked=False)


def flags_in(text: str) -> frozenset[str]:
    """Return the flags that a help text has."""
    return frozenset(name for line in _LINE.findall(text) for name in _NAME.findall(line))
