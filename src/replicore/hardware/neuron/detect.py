"""The Neuron devices of this machine, or those that an instance type of the catalogue has."""

from __future__ import annotations

from pathlib import Path

from replicore.cores import CoreRange
from replicore.errors import ConfigError
from replicore.hardware.machine import Machine
from replicore.hardware.neuron.catalogue import find_instance
from replicore.hardware.neuron.fallback import (
    device_files,
    driver_chip,
    list_devices,
    product_name,
)
from replicore.hardware.neuron.holders import find_holders
from replicore.hardware.neuron.identify import Identity, by_chip, by_numbers, by_type
from replicore.hardware.neuron.instance import Chip, Instance
from replicore.hardware.neuron.monitor import Reading, read_monitor
from replicore.hardware.neuron.neuron_ls import Listing, parse_listing
from replicore.hardware.neuron.node import Device, Node, regrouped
from replicore.hardware.neuron.programs import Run, run_program, tool
from replicore.hardware.neuron.view import machine_of

_PLAN_HINT = 'to plan for another machine, name it, as in engine.neuron.instance = "trn2.48xlarge"'


class NeuronHardware:
    """AWS Trainium and Inferentia.

    Args:
        instance: EC2 instance type to plan for. Its devices are the catalogue's, but where this
            machine is one, those that are found here.
        lnc: Physical cores per logical core; None takes what the machine is set to.
        root: Where ``dev``, ``proc`` and ``sys`` are; another folder than ``/`` in tests.
        run: Runs AWS's tools.
    """

    kind = "neuron"

    def __init__(
        self,
        instance: str | None = None,
        *,
        lnc: int | None = None,
        root: Path = Path("/"),
        run: Run = run_program,
    ) -> None:
        self._instance = instance
        self._lnc = lnc
        self._root = root
        self._run = run

    def detect(self) -> Machine:
        """Return the machine; ``core_memory_bytes`` is a logical core's part of the HBM.

        Raises:
            ConfigError: There is no Neuron device, or it cannot be set to this LNC.
        """
        return machine_of(self.inspect())

    def inspect(self) -> Node:
        """Return chip, LNC and devices, with the processes that hold them.

        Raises:
            ConfigError: There is no Neuron device, or it cannot be set to this LNC.
        """
        if self._instance is not None:
            planned = find_instance(self._instance)
            if not self._is_here(planned):
                return _planned(planned, self._choose_lnc(planned.type, planned.chip))
        text = self._run((tool("neuron-ls", self._root), "--json-output"))
        listing = None if text is None else parse_listing(text)
        return self._ask_driver() if listing is None else self._read_listing(listing)

    def _is_here(self, planned: Instance) -> bool:
        return product_name(self._root) == planned.type and bool(device_files(self._root))

    def _read_listing(self, listing: Listing) -> Node:
        identity = by_type((listing.instance_type, product_name(self._root)))
        reading = Reading()
        if identity is None or any(device.processes for device in listing.devices):
            reading = read_monitor(self._run, self._root)
        identity = identity or self._identify(listing, reading)
        # The cores that a device lists are logical ones.
        logical = len(listing.devices[0].cores)
        found = listing.lnc or max(1, identity.chip.physical_cores // logical)
        lnc = self._choose_lnc(identity.name, identity.chip, found=found)
        devices = regrouped(listing.devices, found, lnc)
        # The monitor numbers cores as neuron-ls does.
        usage = reading.usage if lnc == found else {}
        return Node(
            name=identity.name,
            instance=identity.instance,
            chip=identity.chip,
            lnc=lnc,
            machine_lnc=found,
            devices=devices,
            found_by="neuron-ls",
            holders=find_holders(devices, usage, self._root),
        )

    def _identify(self, listing: Listing, reading: Reading) -> Identity:
        device = listing.devices[0]
        cores = len(device.cores)
        identity = (
            by_type((reading.instance_type,))
            or by_chip(driver_chip(self._root))
            or by_numbers(
                memory_bytes=device.memory_bytes,
                physical_cores=None if listing.lnc is None else cores * listing.lnc,
                links=listing.links,
            )
        )
        if identity is None:
            raise ConfigError(
                f"Neuron devices with {cores} cores and {device.memory_bytes} bytes of "
                "memory are none of those that replicore knows: inf2, trn1, trn2, trn3",
                hint=_PLAN_HINT,
            )
        return identity

    def _ask_driver(self) -> Node:
        files = device_files(self._root)
        if not files:
            raise ConfigError(
                "no Neuron device is here: neuron-ls lists none, and there is no /dev/neuron0",
                hint=_PLAN_HINT,
            )
        product = product_name(self._root)
        identity = by_type((product,)) or by_chip(driver_chip(self._root))
        if identity is None:
            raise ConfigError(
                f"{len(files)} Neuron devices are here, but not which they are: neuron-ls lists "
                f"none, and the machine calls itself {product or 'nothing'}",
                hint="neuron-ls is in AWS's package aws-neuronx-tools",
            )
        lnc = self._choose_lnc(identity.name, identity.chip)
        devices = list_devices(self._root, identity.chip, lnc)
        return Node(
            name=identity.name,
            instance=identity.instance,
            chip=identity.chip,
            lnc=lnc,
            machine_lnc=identity.chip.lnc[0],
            devices=devices,
            found_by="sysfs",
            holders=find_holders(devices, {}, self._root),
        )

    def _choose_lnc(self, name: str, chip: Chip, *, found: int | None = None) -> int:
        if self._lnc is None:
            return found or chip.lnc[0]
        if self._lnc not in chip.lnc:
            possible = " or ".join(str(lnc) for lnc in sorted(chip.lnc))
            raise ConfigError(
                f"engine.neuron.lnc: {self._lnc} is not possible on {name}, whose cores are "
                f"{chip.core}; {possible} {'works' if len(chip.lnc) == 1 else 'work'}"
            )
        return self._lnc


def _planned(instance: Instance, lnc: int) -> Node:
    count = instance.chip.cores(lnc)
    return Node(
        name=instance.type,
        instance=instance,
        chip=instance.chip,
        lnc=lnc,
        machine_lnc=lnc,
        devices=tuple(
            Device(
                index=index,
                cores=CoreRange.of(range(index * count, (index + 1) * count)),
                memory_bytes=instance.chip.hbm_bytes,
            )
            for index in range(instance.chips)
        ),
        found_by="catalogue",
    )
