"""What a tree of processes uses: CPU time and memory, from ``/proc``."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return the process and all below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def cpu_s(pids: list[int]) -> float:
    """Return the CPU seconds so far of these processes and of their children that ended."""
    return sum(_cpu_ticks(pid) for pid in pids) * _TICK_S


def _cpu_ticks(pid: int) -> int:
    # Fields 14 to 17 of proc_pid_stat(5): utime, stime, cutime, cstime; the name may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def memory_mib(pids: list[int]) -> dict[str, float]:
    """Return the sums of RSS and PSS, and the RSS of the process that worked most so far.

    The last is what a worker has, where a router keeps other processes beside its workers.
    """
    rolls = {pid: _rollup(pid) for pid in pids}
    busiest = max(pids, key=_cpu_ticks, default=None)
    return {
        "rss_mib": sum(roll["Rss"] for roll in rolls.values()) / 1024,
        "pss_mib": sum(roll["Pss"] for roll in rolls.values()) / 1024,
        "rss_of_worker_mib": rolls[busiest]["Rss"] / 1024 if busiest is not None else 0.0,
    }


def _rollup(pid: int) -> dict[str, int]:
    """Return kibibytes by name; ``Rss`` and ``Pss`` are among them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}
