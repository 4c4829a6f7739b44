"""The progress bar of LLMPerf's terminal output. Pure."""

from __future__ import annotations

_EIGHTHS = " ▏▎▍▌▋▊▉"
_CELLS = 10


def bar_line(done: int, total: int, elapsed_s: float) -> str:
    """Return one state of the bar.

    >>> bar_line(39, 1000, 73.7)
    '  4%|▍         | 39/1000 [01:13<30:16,  1.89s/it]'
    """
    share = min(1.0, done / total)
    left = _clock(max(0, total - done) * elapsed_s / done) if done else "?"
    counts = f"{done}/{total} [{_clock(elapsed_s)}<{left}, {_pace(done, elapsed_s)}]"
    return f"{share:4.0%}|{_cells(share)}| {counts}"


def _cells(share: float) -> str:
    full, eighths = divmod(int(share * _CELLS * len(_EIGHTHS)), len(_EIGHTHS))
    part = _EIGHTHS[eighths] if eighths else ""
    return ("█" * full + part).ljust(_CELLS)


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"


def _pace(done: int, elapsed_s: float) -> str:
    """Return seconds per request, or requests per second where that is above 1."""
    if not done or not elapsed_s:
        return "?it/s"
    per_s = done / elapsed_s
    return f"{per_s:5.2f}it/s" if per_s > 1 else f"{1 / per_s:5.2f}s/it"
