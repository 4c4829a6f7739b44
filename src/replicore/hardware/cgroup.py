"""The limits that Linux control groups put on this process.

A machine runs cgroup v2, cgroup v1, or both (hybrid: most often v2 without controllers).
``/proc/self/cgroup`` has a line for each hierarchy with this process's group,
``/proc/self/mountinfo`` says where the hierarchy is mounted and which of its groups is the root of
that mount: in a container the two paths share a prefix that does not exist below the mount point.
A limit binds every group below it, so each is looked for from the process's own group up to the
root, and the tightest counts.

Source: cgroups(7), proc_pid_mountinfo(5), kernel ``Documentation/admin-guide/cgroup-v2.rst``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from replicore.cores import CoreRange
from replicore.hardware.kernel_files import read_kernel_file


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLimits:
    """What the control groups leave to this process; None where there is no limit.

    Attributes:
        cpu_quota: CPU time per wall time, in cores.
        cores: Cores that the cpuset allows.
        memory_bytes: Memory that may still be allocated: limit - usage + reclaimable file cache.
    """

    cpu_quota: float | None
    cores: CoreRange | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    """A mounted hierarchy; ``controllers`` is empty for cgroup v2."""

    controllers: frozenset[str]
    group: PurePosixPath
    folder: Path


def read_limits(root: Path) -> CgroupLimits:
    """Return the tightest limits on this process; files are looked for below ``root``."""
    folders = list(_folders(root))
    quotas = [quota for folder in folders if (quota := _cpu_quota(folder)) is not None]
    cpusets = [set(cores) for folder in folders if (cores := _cpuset(folder)) is not None]
    memory = [free for folder in folders if (free := _free_memory(folder)) is not None]
    return CgroupLimits(
        cpu_quota=min(quotas, default=None),
        cores=CoreRange.of(set.intersection(*cpusets)) if cpusets else None,
        memory_bytes=min(memory, default=None),
    )


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's groups, each hierarchy from the leaf to its root."""
    mounts = list(_mounts(root))
    for line in (read_kernel_file(root / "proc/self/cgroup") or "").splitlines():
        _, names, group = line.split(":", 2)
        controllers = frozenset(filter(None, names.split(",")))
        for mount in mounts:
            if mount.controllers >= controllers and bool(mount.controllers) == bool(controllers):
                yield from _ancestry(mount, PurePosixPath(group))


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in (read_kernel_file(root / "proc/self/mountinfo") or "").splitlines():
        fields, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            group, folder = fields.split(" ")[3:5]
            yield _Mount(
                controllers=frozenset(options.split(",") if kind == "cgroup" else ()),
                group=PurePosixPath(group),
                folder=root / folder.lstrip("/"),
            )


def _ancestry(mount: _Mount, group: PurePosixPath) -> Iterator[Path]:
    below = group.relative_to(mount.group) if group.is_relative_to(mount.group) else group
    # A group outside the cgroup namespace reads "/../name", and one outside the mount has no folder
    # there; what can be seen of either is the mount's root.
    parts = () if ".." in below.parts or below.is_absolute() else below.parts
    for depth in range(len(parts), -1, -1):
        yield mount.folder.joinpath(*parts[:depth])


def _cpu_quota(folder: Path) -> float | None:
    v2 = read_kernel_file(folder / "cpu.max")
    if v2 is not None:
        quota, period = v2.split()
    else:
        quota = read_kernel_file(folder / "cpu.cfs_quota_us") or "-1"
        period = read_kernel_file(folder / "cpu.cfs_period_us") or "100000"
    return None if quota in ("max", "-1") else int(quota) / int(period)


def _cpuset(folder: Path) -> CoreRange | None:
    for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
        text = read_kernel_file(folder / name)
        if text:
            return CoreRange.parse(text)
    return None


def _free_memory(folder: Path) -> int | None:
    for limit_name, usage_name, reclaimable_name in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = read_kernel_file(folder / limit_name)
        if limit is not None and limit != "max":
            usage = int(read_kernel_file(folder / usage_name) or 0)
            # The kernel drops idle file cache before it refuses memory. Counted as used, it would
            # make a group that has just read a model's file look full.
            reclaimable = _statistic(folder / "memory.stat", reclaimable_name)
            return max(0, int(limit) - max(0, usage - reclaimable))
    return None


def _statistic(path: Path, name: str) -> int:
    for line in (read_kernel_file(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
