from __future__ import annotations

from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.hardware.machine import Machine
from replicore.hardware.neuron.detect import NeuronHardware
from tests.unit.hardware.neuron.samples import needs_samples, sample
from tests.unit.hardware.neuron.tools import FakeTools, computer, listing, report

GIB = 2**30
HOLDS_ALL = {"neuron_processes": [{"pid": 31, "command": "python -m vllm.entryp..."}]}


def nodes(machine: Machine) -> dict[int, str]:
    return {node.index: str(node.cores) for node in machine.numa}


@needs_samples
@pytest.mark.parametrize(
    ("name", "found", "cores", "degrees", "busy"),
    [
        ("inf2.48xlarge_idle_reconstructed", "Inferentia2", 24, (1, 2, 4, 8, 24), ""),
        ("trn1.2xlarge_idle_captured", "Inferentia2 or Trainium1", 2, (1, 2), ""),
        ("trn1.32xlarge_idle_reconstructed", "Trainium1", 32, (1, 2, 8, 16, 32), ""),
        ("trn2.3xlarge_partial_captured", "trn2.3xlarge", 4, (1, 2, 4), ""),
        ("trn2.48xlarge_idle_reconstructed", "Trainium2", 64, (1, 2, 4, 8, 16, 32, 64), ""),
        ("trn2.48xlarge_one_device_container_captured", "trn2.48xlarge", 4, (1, 2, 4), "0-3"),
        (
            "trn2.48xlarge_two_tp32_replicas_synthetic",
            "Trainium2",
            64,
            (1, 2, 4, 8, 16, 32, 64),
            "0-63",
        ),
        ("trn2n.48xlarge_devices_0_and_15_docs", "Trainium2", 8, (1, 2, 4, 8), "0-3,60-63"),
    ],
)
def test_every_sample_is_a_machine(
    tmp_path: Path, name: str, found: str, cores: int, degrees: tuple[int, ...], busy: str
) -> None:
    tools = FakeTools(neuron_ls=sample(f"neuron-ls_{name}.json"))

    machine = NeuronHardware(root=tmp_path, run=tools).detect()

    assert (machine.kind, machine.name) == ("neuron", found)
    assert (len(machine.cores), machine.core_limit) == (cores, cores)
    assert machine.legal_tp == degrees
    assert str(machine.busy) == busy


@needs_samples
@pytest.mark.parametrize(
    ("instance", "name"),
    [
        ("trn2.48xlarge", "trn2.48xlarge_idle_reconstructed"),
        ("trn1.32xlarge", "trn1.32xlarge_idle_reconstructed"),
        ("inf2.48xlarge", "inf2.48xlarge_idle_reconstructed"),
    ],
)
def test_the_catalogue_plans_what_the_machine_then_has(
    tmp_path: Path, instance: str, name: str
) -> None:
    tools = FakeTools(neuron_ls=sample(f"neuron-ls_{name}.json"))
    root = computer(tmp_path, product=instance)

    planned = NeuronHardware(instance, root=Path("/nonexistent")).detect()
    found = NeuronHardware(root=root, run=tools).detect()

    compared = [field for field in Machine.__slots__ if field not in ("note", "planned_by")]
    assert [getattr(planned, f) for f in compared] == [getattr(found, f) for f in compared]


@needs_samples
def test_both_replicas_of_a_machine_are_named_with_what_they_hold(tmp_path: Path) -> None:
    text = sample("neuron-ls_trn2.48xlarge_two_tp32_replicas_synthetic.json")

    machine = NeuronHardware(root=tmp_path, run=FakeTools(neuron_ls=text)).detect()

    assert [(h.pid, str(h.cores)) for h in machine.holders] == [(221607, "0-31"), (221999, "32-63")]
    assert machine.holders[0].command.startswith("python -m vllm")


@needs_samples
def test_a_container_has_the_cores_that_it_is_given_and_unseen_neighbours(tmp_path: Path) -> None:
    text = sample("neuron-ls_trn2.48xlarge_one_device_container_captured.json")

    machine = NeuronHardware(root=tmp_path, run=FakeTools(neuron_ls=text)).detect()

    assert machine.memory_bytes == 96 * GIB
    assert nodes(machine) == {1: "0-3"}
    assert machine.note == "1 of the 16 devices are to be seen here"
    assert [(holder.pid, holder.command) for holder in machine.holders] == [
        (None, "process 1966680 of another pid namespace"),
        (None, "process 1966681 of another pid namespace"),
    ]


def test_a_planned_machine_is_the_catalogues_and_no_tool_is_run(tmp_path: Path) -> None:
    tools = FakeTools(neuron_ls=listing({}))

    machine = NeuronHardware("trn2.48xlarge", root=tmp_path, run=tools).detect()

    assert str(machine.cores) == "0-63"
    assert machine.aligned
    assert nodes(machine) == {0: "16-47", 1: "0-15,48-63"}
    assert (machine.memory_bytes, machine.core_memory_bytes) == (1536 * GIB, 24 * GIB)
    assert machine.note == "trn2.48xlarge is taken from the catalogue, not found here"
    assert machine.planned_by == 'engine.neuron.instance: "trn2.48xlarge"'
    assert tools.called == []


def test_ranges_on_inf2_start_with_a_chip(tmp_path: Path) -> None:
    machine = NeuronHardware("inf2.48xlarge", root=tmp_path).detect()

    assert [machine.step(tp) for tp in (1, 2, 8, 24)] == [1, 2, 2, 2]
    assert machine.unverified_tp == (12, 16)
    assert "unverified: AWS publishes no rule for inf2" in machine.note


def test_a_planned_machine_that_is_this_one_is_looked_at(tmp_path: Path) -> None:
    root = computer(tmp_path, product="trn2.48xlarge", devices=2)
    tools = FakeTools(neuron_ls=listing({}, HOLDS_ALL))

    machine = NeuronHardware("trn2.48xlarge", root=root, run=tools).detect()

    assert str(machine.cores) == "0-7"
    assert str(machine.busy) == "4-7"
    assert machine.planned_by is None


def test_at_lnc_1_each_core_is_two_and_what_is_held_stays_held(tmp_path: Path) -> None:
    tools = FakeTools(neuron_ls=listing({}, HOLDS_ALL), neuron_monitor=report({31: {4: 9}}))

    machine = NeuronHardware(lnc=1, root=tmp_path, run=tools).detect()

    assert str(machine.cores) == "0-15"
    assert machine.core_memory_bytes == 12 * GIB
    assert str(machine.busy) == "8-15"
    assert machine.note.startswith(
        "the machine is set to LNC 2, the cores are numbered at 1; unverified: whether processes "
        "of different LNC can share a machine; AWS lists the tensor parallel degrees"
    )


def test_an_lnc_that_neuron_ls_does_not_tell_is_seen_from_the_number_of_cores(
    tmp_path: Path,
) -> None:
    old = {"logical_neuroncore_config": None}

    node = NeuronHardware(root=tmp_path, run=FakeTools(neuron_ls=listing(old, old))).inspect()

    assert (node.name, str(node.cores)) == ("Trainium2", "0-7")
    assert (node.lnc, node.machine_lnc) == (2, 2)


@pytest.mark.parametrize(
    ("instance", "lnc", "message"),
    [
        (
            "inf2.48xlarge",
            2,
            "engine.neuron.lnc: 2 is not possible on inf2.48xlarge, whose cores are "
            "NeuronCore-v2; 1 works",
        ),
        (
            "trn2.48xlarge",
            4,
            "engine.neuron.lnc: 4 is not possible on trn2.48xlarge, whose cores are "
            "NeuronCore-v3; 1 or 2 work",
        ),
    ],
)
def test_an_lnc_that_the_chip_does_not_have_is_refused(
    instance: str, lnc: int, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        NeuronHardware(instance, lnc=lnc).detect()

    assert caught.value.message == message


def test_of_a_device_that_a_process_opened_it_holds_the_cores_where_it_has_memory(
    tmp_path: Path,
) -> None:
    usage = report({31: {0: 0, 1: 0, 2: 5, 3: 6}})
    tools = FakeTools(neuron_ls=listing(HOLDS_ALL, {}), neuron_monitor=usage)

    machine = NeuronHardware(root=tmp_path, run=tools).detect()

    assert str(machine.busy) == "2-3"
    assert machine.holders[0].memory_bytes == 11


def test_a_process_without_memory_yet_holds_all_of_its_device(tmp_path: Path) -> None:
    tools = FakeTools(neuron_ls=listing(HOLDS_ALL), neuron_monitor=report({31: {0: 0, 1: 0}}))

    assert str(NeuronHardware(root=tmp_path, run=tools).detect().busy) == "0-3"


def test_the_command_of_a_process_that_can_be_seen_is_whole(tmp_path: Path) -> None:
    command = "python -m vllm.entrypoints.openai.api_server --port 8000"
    root = computer(tmp_path, product="trn2.48xlarge", commands={31: command})

    machine = NeuronHardware(root=root, run=FakeTools(neuron_ls=listing(HOLDS_ALL))).detect()

    assert machine.holders[0].command == command


def test_a_pid_that_is_another_process_here_keeps_the_command_that_the_tool_told(
    tmp_path: Path,
) -> None:
    root = computer(tmp_path, product="trn2.48xlarge", commands={31: "bash"})

    machine = NeuronHardware(root=root, run=FakeTools(neuron_ls=listing(HOLDS_ALL))).detect()

    assert machine.holders[0].command == "python -m vllm.entryp..."


def test_an_idle_machine_of_known_type_is_not_monitored(tmp_path: Path) -> None:
    tools = FakeTools(neuron_ls=listing({"instance_type": "trn2.48xlarge"}))

    NeuronHardware(root=tmp_path, run=tools).detect()

    assert tools.called == ["neuron-ls"]


def test_a_type_that_neuron_ls_does_not_tell_is_the_firmwares_or_the_monitors(
    tmp_path: Path,
) -> None:
    told = FakeTools(neuron_ls=listing({}), neuron_monitor=report({}, instance_type="trn2.3xlarge"))

    assert NeuronHardware(root=tmp_path, run=told).detect().name == "trn2.3xlarge"

    root = computer(tmp_path, product="trn2u.48xlarge")
    assert NeuronHardware(root=root, run=told).detect().name == "trn2u.48xlarge"


def test_a_type_that_the_catalogue_lacks_is_taken_for_its_family(tmp_path: Path) -> None:
    tools = FakeTools(neuron_ls=listing({"instance_type": "trn2q.24xlarge"}))

    node = NeuronHardware(root=tmp_path, run=tools).inspect()

    assert (node.name, node.instance, node.chip.name) == ("trn2q.24xlarge", None, "Trainium2")


def test_devices_that_are_no_known_chip_are_refused(tmp_path: Path) -> None:
    inf1 = {"nc_count": 4, "logical_neuroncore_config": 1, "memory_size": 8 * GIB}

    with pytest.raises(
        ConfigError, match=r"4 cores and 8589934592 bytes .* none of those"
    ) as caught:
        NeuronHardware(root=tmp_path, run=FakeTools(neuron_ls=listing(inf1))).detect()

    assert "engine.neuron.instance" in (caught.value.hint or "")


@pytest.mark.parametrize("neuron_ls", [None, "[]", "unknown flag"])
def test_without_an_answer_of_neuron_ls_the_driver_is_asked(
    tmp_path: Path, neuron_ls: str | None
) -> None:
    root = computer(
        tmp_path,
        product="trn1.32xlarge",
        devices=16,
        commands={31: "python train.py"},
        opened={31: ["/dev/neuron2"]},
    )

    machine = NeuronHardware(root=root, run=FakeTools(neuron_ls=neuron_ls)).detect()

    assert (machine.name, str(machine.cores), str(machine.busy)) == ("trn1.32xlarge", "0-31", "4-5")
    assert nodes(machine) == {0: "0-3,8-11,16-19,24-27", 1: "4-7,12-15,20-23,28-31"}
    assert (machine.holders[0].pid, machine.holders[0].command) == (31, "python train.py")
    assert machine.note.startswith("neuron-ls lists no devices, so the driver's own files were")


def test_devices_that_nothing_names_are_refused(tmp_path: Path) -> None:
    root = computer(tmp_path, product="Standard PC", devices=1)

    with pytest.raises(ConfigError, match=r"not which they are: .* calls itself Standard PC"):
        NeuronHardware(root=root, run=FakeTools()).detect()


def test_the_tools_in_awss_folder_are_run(tmp_path: Path) -> None:
    folder = tmp_path / "opt/aws/neuron/bin"
    folder.mkdir(parents=True)
    for name, text, then in [
        ("neuron-ls", listing(HOLDS_ALL, {}), ""),
        ("neuron-monitor", report({31: {3: 7}}, instance_type="trn2.3xlarge"), "exec sleep 1000"),
    ]:
        (folder / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n{then}\n")
        (folder / name).chmod(0o755)

    machine = NeuronHardware(root=tmp_path).detect()

    assert (machine.name, str(machine.cores), str(machine.busy)) == ("trn2.3xlarge", "0-7", "3")


def test_a_machine_without_devices_is_refused_with_how_to_plan_for_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no Neuron device is here") as caught:
        NeuronHardware(root=tmp_path, run=FakeTools()).detect()

    assert 'engine.neuron.instance = "trn2.48xlarge"' in (caught.value.hint or "")
