"""What is said of devices, drivers, and who holds cores."""

from __future__ import annotations

from pathlib import Path

from replicore.doctor.accelerators import check_accelerators
from tests.unit.doctor.cases import case, only, place, problems
from tests.unit.hardware.fake_nvml import FakeNvml, Gpu
from tests.unit.hardware.neuron.tools import FakeTools, listing

NEURON = {"dev/neuron0": "", "sys/module/neuron/version": "2.21.37.0\n"}
NVIDIA = {
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15\n"
}


def test_a_machine_without_devices_is_a_cpu(tmp_path: Path) -> None:
    finding = only(check_accelerators(place(tmp_path), case()), "devices")

    assert finding.message == "no Neuron device and no NVIDIA GPU: engines use the CPU"


def test_neuron_devices_are_told_with_their_driver(tmp_path: Path) -> None:
    tools = FakeTools(neuron_ls=listing({"instance_type": "trn2.48xlarge"}))
    finding = only(check_accelerators(place(tmp_path, NEURON), case(), run=tools), "neuron")

    assert finding.message.startswith("trn2.48xlarge: 4 cores (0-3) with 24.0 GiB each")
    assert finding.message.endswith("driver 2.21.37.0")


def test_cores_that_a_stranger_holds_are_a_warning_with_his_pid(tmp_path: Path) -> None:
    stranger = {"neuron_processes": [{"pid": 31, "command": "python"}]}
    tools = FakeTools(neuron_ls=listing({"instance_type": "trn2.48xlarge", **stranger}))
    findings = check_accelerators(place(tmp_path, NEURON), case(), run=tools)
    finding = only(findings, "cores-busy")

    assert "cores 0-3 of trn2.48xlarge are held by python (pid 31)" in finding.message
    assert finding.fix == "end it (`kill 31`)"


def test_cores_that_a_deployment_holds_are_no_problem(tmp_path: Path) -> None:
    ours = {"neuron_processes": [{"pid": 31, "command": "python"}]}
    tools = FakeTools(neuron_ls=listing({"instance_type": "trn2.48xlarge", **ours}))
    environ = {"proc/31/environ": "HOME=/\0REPLICORE_DEPLOYMENT=7f\0"}
    found = check_accelerators(place(tmp_path, {**NEURON, **environ}), case(), run=tools)

    assert problems(found) == []


def test_an_instance_with_neuron_devices_but_no_driver_is_an_error(tmp_path: Path) -> None:
    files = {"sys/devices/virtual/dmi/id/product_name": "trn2.48xlarge\n"}
    finding = only(check_accelerators(place(tmp_path, files), case()), "neuron")

    assert finding.level == "error"
    assert "modprobe neuron" in finding.fix


def test_gpus_are_told_with_their_driver(tmp_path: Path) -> None:
    nvml = FakeNvml(Gpu(uuid="GPU-0"), Gpu(uuid="GPU-1"))
    finding = only(check_accelerators(place(tmp_path, NVIDIA), case(), nvml=nvml), "cuda")

    assert finding.message.startswith("NVIDIA H100 80GB HBM3: 2 cores (0-1)")
    assert finding.message.endswith("driver 570.86.15")


def test_a_driver_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    findings = check_accelerators(place(tmp_path, NVIDIA), case(), nvml=FakeNvml(driver=False))

    assert only(findings, "cuda").level == "error"


def test_gpus_without_a_driver_are_a_warning(tmp_path: Path) -> None:
    bus = "sys/bus/pci/devices/0000:01:00.0"
    files = {f"{bus}/vendor": "0x10de\n", f"{bus}/class": "0x030200\n"}
    finding = only(check_accelerators(place(tmp_path, files), case()), "cuda")

    assert finding.message == "1 NVIDIA GPU on the PCI bus, but no driver is loaded"
