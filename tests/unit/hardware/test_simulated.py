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
