"""Lines on a terminal that are drawn again and again in one place.

A picture takes a tenth of a millisecond. rich's ``Live`` takes ten times that, and while the loop
that measures draws, no answer is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from replicore.bench.report.view import Line


class Screen:
    """Draws at the cursor, and leaves it below."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn = 0

    def draw(self, lines: Sequence[Line]) -> None:
        """Replace what was drawn before; what does not fit into the terminal is cut off."""
        width, height = self._console.size
        kept = [painted(line, width, colored=not self._console.no_color) for line in lines]
        # The cursor's own line is the last one: it cannot be moved back above the first.
        self._write("".join(f"{line}\n" for line in kept[: height - 1]))
        self._drawn = min(len(kept), height - 1)

    def clear(self) -> None:
        self._write("")
        self._drawn = 0

    def _write(self, text: str) -> None:
        back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._console.file.write(back + text)
        self._console.file.flush()


def painted(line: Line, width: int, *, colored: bool) -> str:
    """Return a line of at most ``width`` characters with the codes of its looks.

    Codes within its texts, such as those of a replica's name, are not passed on.
    """
    found = []
    for text, look in line:
        piece = "".join(c if c.isprintable() else "?" for c in text[:width])
        width -= len(piece)
        found.append(f"\x1b[{look}m{piece}\x1b[0m" if look and colored and piece else piece)
    return "".join(found)
