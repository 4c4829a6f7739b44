"""The end of a log."""

from __future__ import annotations

from pathlib import Path

from replicore.deploy.state import rotated

# An engine that dies says why in its last lines, though a traceback of vLLM may be a hundred more.
# Searching them for known errors takes half a second per MiB.
TAIL_BYTES = 64 * 1024


def log_tail(log: Path) -> str:
    """Return the end of a unit's log, with that of its rotated part where it is short.

    Raises:
        OSError: It cannot be read.
    """
    data = _last_bytes(log)
    if len(data) < TAIL_BYTES and rotated(log).exists():
        data = _last_bytes(rotated(log))[len(data) :] + data
    return data.decode("utf-8", "replace")


def _last_bytes(path: Path) -> bytes:
    with path.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(max(0, size - TAIL_BYTES))
        return log.read()
