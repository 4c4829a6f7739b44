"""What is known of this machine's cores before a layout is tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from replicore.hardware.cpu_sheet import CpuSheet
from replicore.hardware.cpu_sheet_file import read_sheet, write_sheet
from replicore.hardware.machine import Machine
from replicore.tune.microbench.measure import measure_cpu

CPU = "cpu"


def cpu_sheet(
    machine: Machine, folder: Path, *, watch: Callable[[str], None] = lambda _: None
) -> CpuSheet:
    """Return the sheet of this machine's CPU; the first time it is measured, and kept.

    Args:
        folder: Of the user's calibrations.

    Raises:
        ReplicoreError: It could not be measured.
        ConfigError: Its file cannot be read or written.
    """
    known = read_sheet(folder, machine)
    if known is not None:
        return known
    found = measure_cpu(machine, watch=watch)
    write_sheet(folder, found)
    return found
