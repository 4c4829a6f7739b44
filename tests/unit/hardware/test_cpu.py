from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from replicore.cores import CoreRange
from replicore.errors import ConfigError
from replicore.hardware.cpu import CpuHardware
from replicore.hardware.machine import Machine

GIB = 2**30

BARE = {
    "proc/meminfo": "MemTotal: 16777216 kB\nMemFree: 1024 kB\nMemAvailable: 8388608 kB\n",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC 9R14\ncpu MHz\t: 2600\n",
    "sys/devices/system/cpu/online": "0-7\n",
    "sys/devices/system/node/node0/cpulist": "0-3\n",
    "sys/devices/system/node/node1/cpulist": "4-7\n",
}
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def detect(root: Path, files: Mapping[str, str], *, affinity: Iterable[int] = range(8)) -> Machine:
    for name, text in {**BARE, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return CpuHardware(root, affinity=lambda: affinity).detect()


def v2(group: str, files: Mapping[str, str]) -> dict[str, str]:
    """The files of a process in ``group`` of a cgroup v2 machine; names are below the mount."""
    membership = {"proc/self/cgroup": f"0::{group}\n", "proc/self/mountinfo": V2_MOUNT}
    return membership | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}


def v1(group: str, files: Mapping[str, str]) -> dict[str, str]:
    lines = f"4:memory:{group}\n3:cpuset:{group}\n2:cpu,cpuacct:{group}\n1:name=systemd:/\n"
    membership = {"proc/self/cgroup": lines, "proc/self/mountinfo": V1_MOUNTS}
    return membership | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}


def test_a_machine_without_control_groups_is_used_whole(tmp_path: Path) -> None:
    machine = detect(tmp_path, {})

    assert (machine.kind, machine.name) == ("cpu", "AMD EPYC 9R14")
    assert str(machine.cores) == "0-7"
    assert machine.core_limit == 8
    assert machine.memory_bytes == 8 * GIB
    assert machine.core_memory_bytes is None
    assert machine.note == ""


def test_cores_outside_the_affinity_are_not_used(tmp_path: Path) -> None:
    machine = detect(tmp_path, {}, affinity={5, 2, 3})

    assert str(machine.cores) == "2-3,5"
    assert [(node.index, str(node.cores)) for node in machine.numa] == [(0, "2-3"), (1, "5")]
    assert machine.note == "affinity or cpuset leaves 3 of 8 CPUs"


@pytest.mark.parametrize(
    ("quota", "limit", "note"),
    [
        ("max 100000", 8, ""),
        ("800000 100000", 8, ""),
        ("1600000 100000", 8, ""),
        ("350000 100000", 3, "the CPU quota of 3.5 cores lets 3 of 8 be busy at once"),
        ("50000 100000", 1, "the CPU quota of 0.5 cores lets 1 of 8 be busy at once"),
        ("20000 10000", 2, "the CPU quota of 2 cores lets 2 of 8 be busy at once"),
    ],
)
def test_a_v2_quota_limits_the_busy_cores(
    tmp_path: Path, quota: str, limit: int, note: str
) -> None:
    machine = detect(tmp_path, v2("/", {"cpu.max": quota}))

    assert (machine.core_limit, machine.note) == (limit, note)
    assert len(machine.cores) == 8


def test_the_tightest_v2_limit_on_the_way_to_the_root_counts(tmp_path: Path) -> None:
    files = {
        "cpu.max": "700000 100000",
        "user.slice/cpu.max": "200000 100000",
        "user.slice/app.service/cpu.max": "400000 100000",
        "memory.max": "max",
        "user.slice/memory.max": str(3 * GIB),
        "user.slice/memory.current": str(1 * GIB),
        "user.slice/app.service/memory.max": str(4 * GIB),
        "user.slice/app.service/memory.current": str(1 * GIB),
        "other.slice/cpu.max": "100000 100000",
    }

    machine = detect(tmp_path, v2("/user.slice/app.service", files))

    assert machine.core_limit == 2
    assert machine.memory_bytes == 2 * GIB


@pytest.mark.parametrize(
    ("files", "free_gib"),
    [
        ({"memory.max": "max", "memory.current": str(9 * GIB)}, 8),
        ({"memory.max": str(64 * GIB), "memory.current": "0"}, 8),
        ({"memory.max": str(4 * GIB)}, 4),
        ({"memory.max": str(4 * GIB), "memory.current": str(3 * GIB)}, 1),
        ({"memory.max": str(4 * GIB), "memory.current": str(5 * GIB)}, 0),
        (
            {
                "memory.max": str(4 * GIB),
                "memory.current": str(3 * GIB),
                "memory.stat": f"anon {GIB}\nactive_file 7\ninactive_file {2 * GIB}\n",
            },
            3,
        ),
    ],
)
def test_memory_is_what_a_v2_limit_leaves_and_file_cache_counts_as_free(
    tmp_path: Path, files: dict[str, str], free_gib: int
) -> None:
    assert detect(tmp_path, v2("/", files)).memory_bytes == free_gib * GIB


def test_v1_quota_cpuset_and_memory_are_read(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/job/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        "cpuset/job/cpuset.effective_cpus": "2-5",
        "memory/job/memory.limit_in_bytes": str(4 * GIB),
        "memory/job/memory.usage_in_bytes": str(3 * GIB),
        "memory/job/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB}\n",
    }

    machine = detect(tmp_path, v1("/job", files))

    assert machine.core_limit == 2
    assert str(machine.cores) == "2-5"
    assert machine.memory_bytes == 2 * GIB
    assert machine.note.startswith("affinity or cpuset leaves 4 of 8 CPUs; the CPU quota of 2.5")


def test_v1_limits_without_effect_change_nothing(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": str(3 * GIB),
    }

    machine = detect(tmp_path, v1("/", files))

    assert (machine.core_limit, machine.memory_bytes) == (8, 8 * GIB)


def test_a_container_that_sees_its_host_group_path_finds_its_own_limits(tmp_path: Path) -> None:
    files = v1("/docker/4f2a", {"memory/memory.limit_in_bytes": str(2 * GIB)})
    files["proc/self/mountinfo"] = V1_MOUNTS.replace(
        " / /sys/fs/cgroup/memory", " /docker/4f2a /sys/fs/cgroup/memory"
    )

    assert detect(tmp_path, files).memory_bytes == 2 * GIB


@pytest.mark.parametrize("group", ["/../outside", "/docker/elsewhere"])
def test_a_group_outside_the_mount_counts_with_the_limits_of_its_root(
    tmp_path: Path, group: str
) -> None:
    files = v2(group, {"cpu.max": "300000 100000"})
    files["proc/self/mountinfo"] = V2_MOUNT.replace(" / /sys", " /docker/4f2a /sys")

    assert detect(tmp_path, files).core_limit == 3


def test_a_hybrid_machine_counts_the_controllers_of_both_versions(tmp_path: Path) -> None:
    files = v1("/job", {"cpu,cpuacct/job/cpu.cfs_quota_us": "300000"})
    files["proc/self/cgroup"] += "0::/job\n"
    files["proc/self/mountinfo"] += "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n"
    files["sys/fs/cgroup/unified/job/memory.max"] = str(GIB)

    machine = detect(tmp_path, files)

    assert (machine.core_limit, machine.memory_bytes) == (3, GIB)


def test_a_v2_cpuset_with_no_core_of_the_affinity_is_an_error_with_both(tmp_path: Path) -> None:
    files = v2("/", {"cpuset.cpus.effective": "0-3"})

    with pytest.raises(ConfigError, match=r"affinity is 6-7, .* control group are 0-3") as caught:
        detect(tmp_path, files, affinity=[6, 7])

    assert caught.value.hint


def test_an_empty_v2_cpuset_limits_nothing(tmp_path: Path) -> None:
    assert len(detect(tmp_path, v2("/", {"cpuset.cpus": "\n"})).cores) == 8


def test_numa_nodes_without_usable_cores_are_left_out(tmp_path: Path) -> None:
    files = {
        "sys/devices/system/node/node2/cpulist": "\n",
        "sys/devices/system/node/node3/uevent": "",
        "sys/devices/system/node/possible": "0-15\n",
        "sys/devices/system/node/node10/cpulist": "12-15\n",
    }

    machine = detect(tmp_path, files, affinity=[1, 4, 12])

    assert [(node.index, str(node.cores)) for node in machine.numa] == [
        (0, "1"),
        (1, "4"),
        (10, "12"),
    ]


def test_interleaved_numa_nodes_are_read_as_listed(tmp_path: Path) -> None:
    files = {
        "sys/devices/system/node/node0/cpulist": "0,2,4,6",
        "sys/devices/system/node/node1/cpulist": "1,3,5,7",
    }

    nodes = detect(tmp_path, files).numa

    assert [str(node.cores) for node in nodes] == ["0,2,4,6", "1,3,5,7"]


def test_cores_that_no_node_lists_belong_to_node_0(tmp_path: Path) -> None:
    nodes = detect(tmp_path, {}, affinity=[1, 4, 9]).numa

    assert [(node.index, str(node.cores)) for node in nodes] == [(0, "1,9"), (1, "4")]


def test_a_kernel_without_numa_has_one_node(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(BARE["proc/meminfo"])

    machine = CpuHardware(tmp_path, affinity=lambda: [0, 1]).detect()

    assert [(node.index, str(node.cores)) for node in machine.numa] == [(0, "0-1")]
    assert (machine.name, machine.note) == ("CPU", "")


@pytest.mark.parametrize("meminfo", ["", "MemTotal: 16 kB\nMemFree: 8 kB\n"])
def test_a_kernel_that_does_not_tell_the_free_memory_is_an_error(
    tmp_path: Path, meminfo: str
) -> None:
    with pytest.raises(ConfigError, match="MemAvailable"):
        detect(tmp_path, {"proc/meminfo": meminfo})


def test_this_computer_offers_the_cores_of_this_process() -> None:
    machine = CpuHardware().detect()

    assert set(machine.cores) == os.sched_getaffinity(0)
    assert 1 <= machine.core_limit <= len(machine.cores)
    assert machine.memory_bytes > 0
    assert CoreRange.of(core for node in machine.numa for core in node.cores) == machine.cores
