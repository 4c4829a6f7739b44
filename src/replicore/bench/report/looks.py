"""Lines of text with looks, as a terminal shows them. Pure."""

from __future__ import annotations

from typing import TypeAlias

# Parameters of the terminal's "select graphic rendition".
PLAIN, BOLD, DIM, GREEN, CYAN, ALARM = "", "1", "2", "32", "36", "1;31"

# Pieces of text with how each looks.
Line: TypeAlias = list[tuple[str, str]]


def painted(line: Line, width: int, *, colored: bool) -> str:
    """Return a line of at most ``width`` characters with the codes of its looks."""
    found = []
    for text, look in line:
        piece, width = text[:width], width - len(text[:width])
        found.append(f"\x1b[{look}m{piece}\x1b[0m" if look and colored and piece else piece)
    return "".join(found)
