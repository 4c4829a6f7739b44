"""The small text files in which Linux tells about itself (``/proc``, ``/sys``)."""

from __future__ import annotations

from pathlib import Path


def read_kernel_file(path: Path) -> str | None:
    """Return the text without surrounding blanks; None where the file cannot be read.

    Which files exist depends on the kernel, its configuration and the container, and so does who
    may read them: a file that is missing is an answer, not a fault.
    """
    try:
        return path.read_text().strip()
    except OSError:
        return None
