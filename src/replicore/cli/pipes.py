"""What becomes of output that nobody reads any more, as after ``| head -1``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO


def discard(stream: TextIO) -> None:
    """Let go nowhere what is printed from now on, and what Python would flush at exit."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
