"""Stand-ins for AWS's tools, and computers that have them or not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path


class FakeTools:
    """Answers as the tools would; a tool without an answer is not installed.

    Attributes:
        called: Names of the tools that were run, in order.
    """

    def __init__(self, *, neuron_ls: str | None = None, neuron_monitor: str | None = None) -> None:
        self._answers = {"neuron-ls": neuron_ls, "neuron-monitor": neuron_monitor}
        self.called: list[str] = []

    def __call__(self, argv: Sequence[str], *, first_line: bool = False) -> str | None:
        name = Path(argv[0]).name
        assert first_line == (name == "neuron-monitor"), "neuron-monitor never ends by itself"
        self.called.append(name)
        return self._answers[name]


def listing(*devices: Mapping[str, object]) -> str:
    """What neuron-ls prints; a device has 4 logical cores of Trainium2 if nothing else is said."""
    rows = []
    for index, device in enumerate(devices):
        trainium2 = {
            "neuron_device": index,
            "nc_count": 4,
            "logical_neuroncore_config": 2,
            "memory_size": 103079215104,
            "neuroncore_ids": list(range(4 * index, 4 * index + 4)),
            "neuron_processes": [],
        }
        rows.append({**trainium2, **device})
    return json.dumps(rows)


def report(usage: Mapping[int, Mapping[int, int]], *, instance_type: str = "") -> str:
    """A line of neuron-monitor: bytes of device memory, by pid and core."""
    runtimes = [
        {
            "pid": pid,
            "report": {
                "memory_used": {
                    "neuron_runtime_used_bytes": {
                        "usage_breakdown": {
                            "neuroncore_memory_usage": {
                                str(core): {"constants": size, "tensors": 0}
                                for core, size in cores.items()
                            }
                        }
                    }
                }
            },
        }
        for pid, cores in usage.items()
    ]
    return json.dumps(
        {"neuron_runtime_data": runtimes, "instance_info": {"instance_type": instance_type}}
    )


def computer(
    root: Path,
    *,
    product: str = "",
    devices: int = 0,
    driver: Mapping[str, str] | None = None,
    commands: Mapping[int, str] | None = None,
    opened: Mapping[int, Sequence[str]] | None = None,
) -> Path:
    """A root folder with these device files, and these processes with files open.

    Args:
        driver: Text of files below the driver's folder in /sys.
        commands: Command lines by pid.
        opened: What the file descriptors of each pid point to.
    """
    texts = {f"sys/devices/virtual/neuron_device/{k}": v for k, v in (driver or {}).items()}
    texts["sys/devices/virtual/dmi/id/product_name"] = product
    texts |= {f"dev/neuron{n}": "" for n in range(devices)}
    texts |= {f"proc/{p}/cmdline": c.replace(" ", "\0") for p, c in (commands or {}).items()}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for pid, targets in (opened or {}).items():
        folder = root / "proc" / str(pid) / "fd"
        folder.mkdir(parents=True)
        for number, target in enumerate(targets):
            (folder / str(number)).symlink_to(target)
    return root
