"""The data sheets of the cores that a spec's engine would run on."""

from __future__ import annotations

from replicore.engines.sim.profiles import PROFILES, Profile
from replicore.errors import ConfigError
from replicore.hardware.cpu_sheet import guessed_sheet
from replicore.hardware.cpu_sheet_file import read_sheet
from replicore.hardware.device import Device
from replicore.hardware.devices import devices, find_device, neuron_device
from replicore.hardware.machine import Machine
from replicore.hardware.neuron.detect import NeuronHardware
from replicore.planner.files.load import calibrations_folder
from replicore.planner.question import Cores
from replicore.planner.sheet import OwnCores, Sheet
from replicore.spec import EngineSpec
from replicore.wording import listed, quoted


def planned_cores(
    engine: EngineSpec, machine: Machine, *, usable: int, device: Device | None = None
) -> Cores:
    """Return the cores, with what is known of their speed.

    Args:
        usable: Cores that may be used.
        device: What they are, where that is known better than from the machine's name.

    Raises:
        ConfigError: Nothing is known of them.
    """
    on_cpu = machine.kind == "cpu"
    sheet = _cpu_sheet(machine) if on_cpu and device is None else None
    core = device or (None if on_cpu else _device(engine, machine))
    return Cores(
        machine=machine.name,
        count=usable,
        sheet=sheet or _own(core, machine),
        rank_cores=_rank_cores(engine, on_cpu=on_cpu),
    )


def _own(core: Device | None, machine: Machine) -> Sheet:
    if core is None:
        raise ConfigError(
            f"{quoted(machine.name)} is no device that replicore has a data sheet of; these it "
            f"has: {listed(sorted(devices()))}",
            hint="--hardware names what it is most like, as in --hardware h100",
        )
    return OwnCores(core=core, count=len(machine.cores))


def _cpu_sheet(machine: Machine) -> Sheet:
    return read_sheet(calibrations_folder(), machine) or guessed_sheet(machine)


def _rank_cores(engine: EngineSpec, *, on_cpu: bool) -> int | None:
    if engine.kind == "llamacpp" or engine.sim.profile == "cpu":
        return None
    return engine.vllm.cores_per_rank if engine.kind == "vllm" and on_cpu else 1


def _device(engine: EngineSpec, machine: Machine) -> Device | None:
    if engine.kind == "neuron":
        node = NeuronHardware(engine.neuron.instance, lnc=engine.neuron.lnc).inspect()
        return neuron_device(node.chip, lnc=node.lnc)
    if engine.kind == "sim":
        return _simulated(engine)
    return find_device(machine.name)


def _simulated(engine: EngineSpec) -> Device:
    name = engine.sim.profile
    if name is None:
        raise ConfigError(
            "engine.sim.profile: unset, so that all layouts are as fast as engine.sim says and "
            'there is nothing to plan; set it to a device, such as "h100"'
        )
    return _profiled(name, PROFILES[name], speed=engine.sim.speed)


def _profiled(name: str, profile: Profile, *, speed: float) -> Device:
    """Return the profile as a data sheet; links are no part of it, they count per layer.

    Args:
        speed: How many times faster than in life it is simulated.
    """
    return Device(
        key=f"sim-{name}",
        name=f"simulated {name}",
        kind="cpu" if profile.memory_bytes is None else "cuda",
        cores=profile.cores,
        memory_bytes=profile.memory_bytes,
        bytes_per_s=speed * profile.bytes_per_s,
        flops_16=speed * profile.flops_per_s,
        flops_8=speed * profile.flops_per_s,
        flops_4=speed * profile.flops_per_s,
        link_bytes_per_s=float("inf"),
        source=profile.source,
    )
