from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from replicore.cores import NO_CORES, CoreRange
from replicore.errors import ConfigError
from replicore.hardware.cuda import CudaHardware
from replicore.hardware.machine import Holder, Machine
from tests.unit.hardware.fake_nvml import FakeNvml, Gpu

GIB = 2**30
HOST = "pid:[4026531836]"
CONTAINER = "pid:[4026532441]"


def hardware(
    nvml: FakeNvml,
    *,
    visible: str | None = None,
    fraction: float = 0.9,
    sharing: int = 1,
    root: Path = Path("/nowhere"),
    namespace: str = HOST,
) -> CudaHardware:
    return CudaHardware(
        memory_fraction=fraction,
        sharing=sharing,
        environ={} if visible is None else {"CUDA_VISIBLE_DEVICES": visible},
        nvml=nvml,
        root=root,
        namespace=lambda: namespace,
    )


def detect(nvml: FakeNvml, *, visible: str | None = None, fraction: float = 0.9) -> Machine:
    return hardware(nvml, visible=visible, fraction=fraction).detect()


def eight() -> FakeNvml:
    return FakeNvml(*(Gpu(uuid=f"GPU-{index}") for index in range(8)))


def groups(machine: Machine) -> list[str]:
    return [str(node.cores) for node in machine.numa]


def test_machine_is_all_devices_with_their_share_of_memory() -> None:
    machine = detect(eight())

    assert machine.kind == "cuda"
    assert machine.name == "NVIDIA H100 80GB HBM3"
    assert machine.cores == CoreRange.parse("0-7")
    assert machine.core_memory_bytes == 72 * GIB  # 0.9 x 80 GiB
    assert machine.memory_bytes == 8 * 72 * GIB
    assert (machine.legal_tp, machine.busy, machine.holders) == (None, NO_CORES, ())


def test_replicas_that_share_a_device_share_its_memory() -> None:
    machine = hardware(FakeNvml(Gpu()), sharing=2).detect()

    assert machine.sharing == 2
    assert machine.replica_memory_bytes(1) == 36 * GIB
    assert machine.note == "each device is shared by 2 replicas"


def test_nvml_is_closed_again_also_after_an_error() -> None:
    nvml = FakeNvml(Gpu(), silent=("nvmlDeviceGetCount",))

    with pytest.raises(ConfigError, match="NVML says Not Supported"):
        detect(nvml)

    assert nvml.sessions == 0


def test_gpu_that_does_not_answer_is_left_out_and_named() -> None:
    found = hardware(FakeNvml(Gpu(uuid="GPU-a"), Gpu(lost=True), Gpu(uuid="GPU-c")))
    machine = found.detect()

    assert str(machine.cores) == "0,2"
    assert machine.note == "GPU 1 does not answer NVML"
    assert found.identifiers(machine.cores) == ("GPU-a", "GPU-c")


def test_only_gpu_that_does_not_answer_is_named() -> None:
    with pytest.raises(ConfigError, match=r"a driver .* here, but GPU 0 does not answer it"):
        detect(FakeNvml(Gpu(lost=True)))


@pytest.mark.parametrize(
    ("linked", "near", "expected"),
    [
        ((), None, ["0-3"]),
        ((), ((0, 1), (2, 3)), ["0-1", "2-3"]),
        (((0, 1), (2, 3)), None, ["0-1", "2-3"]),
        (((0, 2), (1, 3)), None, ["0,2", "1,3"]),
        (((0, 1),), None, ["0-1", "2-3"]),  # two without NVLink, on one NUMA node
        (((0, 1), (1, 2), (2, 3)), (), ["0-3"]),
        ((), (), ["0", "1", "2", "3"]),
    ],
)
def test_memory_domains_are_nvlink_islands_then_numa_nodes(
    linked: tuple[tuple[int, int], ...],
    near: tuple[tuple[int, int], ...] | None,
    expected: list[str],
) -> None:
    assert groups(detect(FakeNvml(*[Gpu()] * 4, linked=linked, near=near))) == expected


def test_driver_that_tells_no_topology_leaves_each_device_alone() -> None:
    silent = ("nvmlDeviceGetP2PStatus", "nvmlDeviceGetTopologyCommonAncestor")

    assert groups(detect(FakeNvml(Gpu(), Gpu(), silent=silent))) == ["0", "1"]


@pytest.mark.parametrize(
    ("visible", "cores"),
    [
        ("2,0", "0,2"),
        (" 1 , 3 ", "1,3"),
        ("GPU-3,5", "3,5"),
        ("GPU-", "0"),
        ("1,9,2", "1"),  # CUDA stops at the first that is none
        ("1,1", "1"),
    ],
)
def test_visible_devices_limit_this_process(visible: str, cores: str) -> None:
    machine = detect(eight(), visible=visible)

    assert str(machine.cores) == cores
    assert machine.note.startswith("CUDA_VISIBLE_DEVICES leaves ")


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles", "MIG-0"])
def test_no_visible_device_is_refused_with_the_variable(visible: str) -> None:
    with pytest.raises(ConfigError, match=r'CUDA_VISIBLE_DEVICES: ".*" leaves .* none of the 8'):
        detect(eight(), visible=visible)


def test_machine_without_a_driver_is_refused_with_what_nvml_says() -> None:
    with pytest.raises(ConfigError, match=r"no CUDA device here: NVML says .* Not Found") as caught:
        detect(FakeNvml())

    assert 'device = "cpu"' in str(caught.value.hint)


def test_driver_without_a_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="a driver for CUDA devices here, but no device"):
        detect(FakeNvml(driver=True))


@pytest.mark.parametrize(
    ("nvml", "visible", "there"),
    [(FakeNvml(), None, False), (eight(), None, True), (eight(), "", False)],
)
def test_devices_are_there_when_one_can_be_used(
    nvml: FakeNvml, visible: str | None, there: bool
) -> None:
    assert hardware(nvml, visible=visible).is_there is there


def test_instances_of_a_split_gpu_are_devices_of_their_own() -> None:
    half = Gpu(uuid="MIG-a", name="NVIDIA H100 MIG 3g.40gb", total=40 * GIB, free=40 * GIB)
    split = Gpu(uuid="GPU-0", instances=(half, Gpu(uuid="MIG-b", total=40 * GIB), None))
    found = hardware(FakeNvml(split, Gpu(uuid="GPU-1")))
    machine = found.detect()

    assert machine.cores == CoreRange.parse("0-2")
    assert machine.legal_tp == (1,)
    assert machine.core_memory_bytes == 36 * GIB
    assert found.identifiers(machine.cores) == ("MIG-a", "MIG-b", "GPU-1")
    assert "devices differ, so each is counted as 36.0 GiB" in machine.note


def test_instances_of_one_gpu_are_near_to_each_other() -> None:
    split = Gpu(instances=(Gpu(uuid="MIG-a"), Gpu(uuid="MIG-b")))

    assert groups(detect(FakeNvml(split, split, near=()))) == ["0-1", "2-3"]


def test_instance_can_be_the_only_visible_device() -> None:
    split = Gpu(instances=(Gpu(uuid="MIG-a"), Gpu(uuid="MIG-b")))

    assert str(detect(FakeNvml(split), visible="MIG-b").cores) == "1"


def test_whole_devices_are_named_by_their_number() -> None:
    found = hardware(eight(), visible="4,6")
    found.detect()

    assert found.identifiers(CoreRange.parse("4,6")) == ("4", "6")


def command(root: Path, pid: int, text: str) -> Path:
    (root / f"proc/{pid}").mkdir(parents=True)
    (root / f"proc/{pid}/cmdline").write_bytes(text.encode())
    return root


def test_device_that_others_hold_is_busy_and_they_are_named(tmp_path: Path) -> None:
    root = command(tmp_path, 77, "python\0train.py\0")
    held = Gpu(free=20 * GIB, processes=((77, 59 * GIB),))

    machine = hardware(FakeNvml(Gpu(), held), root=root).detect()

    assert str(machine.busy) == "1"
    assert machine.holders == (
        Holder(cores=CoreRange((1,)), pid=77, command="python train.py", memory_bytes=59 * GIB),
    )


def test_small_holder_leaves_the_device_usable_and_is_named(tmp_path: Path) -> None:
    machine = hardware(FakeNvml(Gpu(free=75 * GIB, processes=((5, 4 * GIB),)))).detect()

    assert machine.busy == NO_CORES
    assert machine.holders == (Holder(cores=CoreRange((0,)), pid=5, memory_bytes=4 * GIB),)


def test_what_is_not_free_counts_against_the_fraction_that_is_asked_for() -> None:
    half = FakeNvml(Gpu(free=50 * GIB, processes=((5, 30 * GIB),)))

    assert str(detect(half, fraction=0.9).busy) == "0"
    assert detect(half, fraction=0.5).busy == NO_CORES


def test_what_a_driver_takes_of_an_idle_device_makes_it_not_busy() -> None:
    assert detect(FakeNvml(Gpu(free=79 * GIB)), fraction=1.0).busy == NO_CORES


def test_in_a_container_pids_of_holders_are_not_ours() -> None:
    nvml = FakeNvml(Gpu(free=GIB, processes=((77, None),)))

    machine = hardware(nvml, namespace=CONTAINER).detect()

    assert machine.holders == (Holder(cores=CoreRange((0,))),)


def test_busy_device_without_a_visible_holder_says_how_much_is_held() -> None:
    machine = detect(FakeNvml(Gpu(free=10 * GIB)))

    assert str(machine.busy) == "0"
    assert machine.holders == (Holder(cores=CoreRange((0,)), memory_bytes=70 * GIB),)


def test_driver_that_lists_no_processes_is_no_fault() -> None:
    silent = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetMigMode")

    assert detect(FakeNvml(Gpu(), silent=silent)).holders == ()


@pytest.mark.parametrize("name", [n for n in vars(FakeNvml) if n.lower().startswith("nvml")])
def test_pretend_nvml_has_only_what_the_real_one_has(name: str) -> None:
    real = getattr(importlib.import_module("pynvml"), name)
    pretend = getattr(FakeNvml, name)

    assert type(real) is type(pretend)
    assert callable(real) or real == pretend
