"""How a process ended, in words: for the one message that a user sees when a replica is lost."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What engines print when they die of something that the user can change; the first match wins.
_KNOWN = (
    (
        re.compile(r"out of memory|cannot allocate memory|bad_alloc|failed to allocate", re.I),
        "it ran out of memory; lower `layout.max_model_len`, `layout.batch_size` or the replicas",
    ),
    (
        re.compile(r"address already in use|EADDRINUSE", re.I),
        "another process listens on its port; `replicore up` again picks another one",
    ),
    (
        re.compile(r"nrt_init|NEURON_RT|no neuron device", re.I),
        "another process may hold its cores; `neuron-ls` shows it",
    ),
    (
        re.compile(r"No module named|ModuleNotFoundError"),
        "the engine's packages are missing there; `engine.python` names the environment to use",
    ),
    (
        re.compile(r"no space left on device", re.I),
        "the disk is full; free some space and start again",
    ),
    (
        re.compile(r"too many open files", re.I),
        "the limit on open files is too low; raise it with `ulimit -n`",
    ),
)

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
    """

    code: int | None = None
    signal: str | None = None
    last_lines: tuple[str, ...] = ()

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
        """What to do about it, where the last lines or the signal tell."""
        text = "\n".join(self.last_lines)
        for pattern, hint in _KNOWN:
            if pattern.search(text):
                return hint
        return _KILLED if self.signal == "SIGKILL" else None


def with_last_lines(sentence: str, lines: tuple[str, ...]) -> str:
    """Return the sentence, and under it the lines that a process printed last."""
    if not lines:
        return f"{sentence}; it printed nothing"
    return "\n".join([f"{sentence}; its last lines:", *(f"  | {line}" for line in lines)])
