"""How a process ended, in words: for the one message that a user sees when a replica is lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from replicore.engines.known_errors import find_known

_KILLED = "nothing here sent that signal; the kernel's out-of-memory killer does (`dmesg` tells)"

# The exit code of argparse, of click and of our own engines for arguments that they cannot use.
_USAGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The end of a kept process.

    Attributes:
        code: Exit code; None where a signal ended it, or where nobody saw the end.
        signal: The signal's name, such as ``SIGKILL``; None where it exited.
        last_lines: What it printed last, oldest first.
        log_tail: The end of its log, longer than ``last_lines``, as far as it was read.
    """

    code: int | None = None
    signal: str | None = None
    last_lines: tuple[str, ...] = ()
    log_tail: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        if self.signal is not None:
            return f"was killed by {self.signal}"
        if self.code is not None:
            return f"exited with code {self.code}"
        return "was killed with its keeper"

    @property
    def is_usage_error(self) -> bool:
        """Whether the program refused its arguments, so that another start would end the same."""
        return self.code == _USAGE

    @property
    def hint(self) -> str | None:
        """What to do about it, where what it printed or the signal tells."""
        known = find_known("\n".join(self.last_lines))
        if known is None or known.symptom:
            known = find_known(self.log_tail) or known
        if known is not None:
            return str(known)
        return _KILLED if self.signal == "SIGKILL" else None


def with_last_lines(sentence: str, lines: tuple[str, ...]) -> str:
    """Return the sentence, and under it the lines that a process printed last."""
    if not lines:
        return f"{sentence}; it printed nothing"
    return "\n".join([f"{sentence}; its last lines:", *(f"  | {line}" for line in lines)])
