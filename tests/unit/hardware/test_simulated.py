from __future__ import annotations

from replicore.hardware.simulated import CORE_MEMORY_BYTES, SimulatedHardware


def test_pretend_cores_are_one_node_and_say_that_they_are_simulated() -> None:
    machine = SimulatedHardware(32).detect()

    assert (machine.kind, machine.name) == ("sim", "simulated")
    assert str(machine.cores) == "0-31"
    assert machine.core_limit == 32
    assert [str(node.cores) for node in machine.numa] == ["0-31"]
    assert machine.memory_bytes == 32 * CORE_MEMORY_BYTES
    assert "simulated" in machine.note


def test_pretend_cores_of_a_device_have_its_name_memory_and_rules() -> None:
    machine = SimulatedHardware(
        8, device="trn2", core_memory_bytes=5, legal_tp=(1, 8), aligned=True
    ).detect()

    assert machine.name == "simulated trn2"
    assert (machine.memory_bytes, machine.core_memory_bytes) == (40, 5)
    assert (machine.legal_tp, machine.aligned) == ((1, 8), True)
