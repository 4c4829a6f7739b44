"""Where reports are printed."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

_FILE_WIDTH = 140


def report_console() -> Console:
    """Return stdout: as wide as the terminal, or wide and without colours where it is a file."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False)


def print_line(console: Console, line: str, *, style: str = "") -> None:
    """Print a line, which a terminal wraps between words and a file keeps whole."""
    console.print(Text(line, style=style), soft_wrap=not console.is_terminal)
