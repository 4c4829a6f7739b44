"""What a line of ``neuron-monitor`` tells: the instance type, and which process uses which cores.

``neuron-ls`` knows only the device that a process has opened. Old monitors list all cores of the
device under every process, with zeros for those that it does not have, so the cores of a process
are those where it has memory.

Source: SDK tools/neuron-sys-tools/neuron-monitor-user-guide.rst, and captured output.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from replicore.cores import CoreRange
from replicore.hardware.neuron.programs import Run, tool

# Without one it writes every five seconds, and more than is needed.
_CONFIGURATION = {
    "period": "1s",
    "neuron_runtimes": [{"tag_filter": ".*", "metrics": [{"type": "memory_used"}]}],
    "system_metrics": [],
}


class _Breakdown(msgspec.Struct):
    neuroncore_memory_usage: dict[str, dict[str, int]] = {}


class _Used(msgspec.Struct):
    usage_breakdown: _Breakdown = msgspec.field(default_factory=_Breakdown)


class _Memory(msgspec.Struct):
    neuron_runtime_used_bytes: _Used = msgspec.field(default_factory=_Used)


class _Report(msgspec.Struct):
    memory_used: _Memory = msgspec.field(default_factory=_Memory)


class _Runtime(msgspec.Struct):
    pid: int
    report: _Report = msgspec.field(default_factory=_Report)


class _Instance(msgspec.Struct):
    instance_type: str = ""


class _Line(msgspec.Struct):
    neuron_runtime_data: tuple[_Runtime, ...] = ()
    instance_info: _Instance = msgspec.field(default_factory=_Instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one process has.

    Attributes:
        memory_bytes: Device memory on all its cores.
    """

    cores: CoreRange
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One line.

    Attributes:
        instance_type: None where it is not told.
        usage: By pid.
    """

    instance_type: str | None = None
    usage: Mapping[int, Usage] = field(default_factory=dict)


def read_monitor(run: Run, root: Path) -> Reading:
    """Run ``neuron-monitor`` until its first line; empty where it is not there."""
    with tempfile.NamedTemporaryFile("w", prefix="neuron-monitor-", suffix=".json") as file:
        json.dump(_CONFIGURATION, file)
        file.flush()
        line = run((tool("neuron-monitor", root), "-c", file.name), first_line=True)
    return Reading() if line is None else parse_line(line)


def parse_line(line: str) -> Reading:
    """Return what a line tells; nothing where it is no report."""
    try:
        report = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError:
        return Reading()
    return Reading(
        instance_type=report.instance_info.instance_type or None,
        usage={runtime.pid: _usage(runtime) for runtime in report.neuron_runtime_data},
    )


def _usage(runtime: _Runtime) -> Usage:
    breakdown = runtime.report.memory_used.neuron_runtime_used_bytes.usage_breakdown
    used = {
        int(core): sum(kinds.values()) for core, kinds in breakdown.neuroncore_memory_usage.items()
    }
    return Usage(
        cores=CoreRange.of(core for core, size in used.items() if size),
        memory_bytes=sum(used.values()),
    )
