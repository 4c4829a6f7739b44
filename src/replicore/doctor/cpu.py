"""The processor: what may be used of it, and who else uses it."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.doctor.case import Case, Place
from replicore.doctor.reports import ok, readable, warning
from replicore.findings import Finding
from replicore.hardware.cpu import CpuHardware
from replicore.hardware.kernel_files import read_kernel_file
from replicore.wording import pluralize

# So much of the cores busy with other things makes every measurement one of those, too.
_BUSY_SHARE = 0.5

# These drivers raise the clock by themselves; of others `powersave` is the lowest clock.
_SELF_RAISING = ("intel_pstate", "amd-pstate-epp", "amd_pstate_epp")

# Reading one of these clocks takes a microsecond and more, on every stamp of every token.
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")


def check_cpu(place: Place, case: Case) -> Iterator[Finding]:
    """Tell cores, quota and memory; warn of other load, a low clock and a slow time source."""
    machine = CpuHardware(place.root).detect()
    note = f"; {machine.note}" if machine.note else ""
    text = f"{machine.name}: {pluralize(len(machine.cores), 'core')} ({machine.cores}){note}"
    yield ok("cpu", text)
    if not case.running:
        yield from _load(place, len(machine.cores))
    yield from _governor(place)
    yield from _clock_source(place)


def check_memory_left(place: Place, case: Case) -> Iterator[Finding]:
    """Tell how much memory processes may still take."""
    machine = CpuHardware(place.root).detect()
    yield ok("memory", f"{readable(machine.memory_bytes)} of memory are available")
    if read_kernel_file(place.root / "proc/sys/vm/overcommit_memory") == "2":
        yield warning(
            "memory",
            "vm.overcommit_memory is 2, so memory that is only reserved counts as used, and "
            "engines reserve far more than they touch",
            "`sysctl vm.overcommit_memory=0`",
        )


def _load(place: Place, cores: int) -> Iterator[Finding]:
    text = read_kernel_file(place.root / "proc/loadavg")
    load = float(text.split()[0]) if text else 0.0
    if load > _BUSY_SHARE * cores:
        yield warning(
            "load",
            f"other processes keep {load:.1f} of {pluralize(cores, 'core')} busy (average of the "
            "last minute)",
            "`top` shows them; a benchmark now would measure them too",
        )


def _governor(place: Place) -> Iterator[Finding]:
    folder = place.root / "sys/devices/system/cpu/cpu0/cpufreq"
    governor = read_kernel_file(folder / "scaling_governor")
    driver = read_kernel_file(folder / "scaling_driver")
    if governor == "powersave" and driver not in _SELF_RAISING:
        yield warning(
            "clock-speed",
            "the CPU frequency governor is powersave, which keeps the cores at their lowest clock",
            "`cpupower frequency-set -g performance`",
        )


def _clock_source(place: Place) -> Iterator[Finding]:
    folder = place.root / "sys/devices/system/clocksource/clocksource0"
    source = read_kernel_file(folder / "current_clocksource")
    if source in _SLOW_CLOCKS:
        yield warning(
            "clock-source",
            f"the kernel tells the time by {source}, which is slow to read: latencies that are "
            "measured here have its time in them",
            "`echo tsc` into current_clocksource, if available_clocksource has it",
        )
