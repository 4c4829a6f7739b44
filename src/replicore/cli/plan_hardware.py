"""``plan --hardware``: a machine by its name, as keys of the spec."""

from __future__ import annotations

from collections.abc import Container

from replicore.errors import ConfigError
from replicore.hardware.devices import devices, find_device
from replicore.hardware.neuron.catalogue import instances
from replicore.planner.asked import hardware_keys, parse_devices
from replicore.spec import Spec
from replicore.wording import listed, nearest, quoted

# Of devices that nobody's name is near to, so many are named.
_NAMED = ("h100", "h200", "b200", "a100", "mi300x", "trn2.48xlarge")


def hardware_given(text: str | None) -> dict[str, str]:
    """Return the keys that plan for such hardware; none for None.

    Raises:
        ConfigError: Nothing is known of it; the message names the nearest that is.
    """
    if text is None:
        return {}
    name, _ = parse_devices(text)
    device = find_device(name)
    if text not in instances() and (device is None or device.kind == "neuron"):
        raise ConfigError(
            f"--hardware: {quoted(text)} is neither an EC2 instance type with Neuron devices nor a "
            f"device that replicore has a data sheet of; {_near(text, name)}"
        )
    return hardware_keys(text, is_instance=text in instances())


def elsewhere(spec: Spec, given: Container[str]) -> Spec:
    """Return the spec without what it says of its own machine: which cores, and how they are set.

    Args:
        given: Keys that are meant for the other machine.
    """
    layout, neuron = spec.layout, spec.engine.neuron
    if "layout.cores" not in given:
        layout = layout.model_copy(update={"cores": None})
    if "engine.neuron.lnc" not in given:
        neuron = neuron.model_copy(update={"lnc": None})
    engine = spec.engine.model_copy(update={"neuron": neuron})
    return spec.model_copy(update={"layout": layout, "engine": engine})


def _near(text: str, name: str) -> str:
    """Return what works instead: AWS's chips are planned for by the instance."""
    chips = [each for each in instances() if each.startswith(f"{name.casefold()}.")]
    near = chips or [each for each in (_nearest_instance(text), _nearest_device(name)) if each]
    return (
        f"near it: {listed(near)}" if near else f"these are known, among others: {listed(_NAMED)}"
    )


def _nearest_instance(text: str) -> str | None:
    return nearest(text, instances()) if "." in text else None


def _nearest_device(name: str) -> str | None:
    cuda = [key for key, device in devices().items() if device.kind != "neuron"]
    return nearest(name, cuda)
