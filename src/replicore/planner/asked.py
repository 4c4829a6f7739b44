"""What a plan is asked on the command line: limits, layouts, hardware. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from replicore.errors import ConfigError
from replicore.planner.question import Slo
from replicore.units import parse_duration
from replicore.wording import quoted

_LAYOUT = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})(?:x([1-9][0-9]{0,5}))?")
_COUNTED = re.compile(r"([1-9][0-9]{0,3})x(.+)|(.+?)x([1-9][0-9]{0,3})")
_LIMITS = ("ttft", "tpot")

# What is planned for where a device is named without a number.
_USUAL_DEVICES = 8


def parse_slo(text: str) -> Slo:
    """Return the limits of ``ttft=2s,tpot=40ms``.

    Raises:
        ConfigError: It has another form.
    """
    limits = dict(_limits(text))
    return Slo(ttft_p99_s=limits.get("ttft"), tpot_p99_s=limits.get("tpot"))


def _limits(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in _LIMITS:
            raise ConfigError(f"--slo: {quoted(part)} is no limit; write it like ttft=2s,tpot=40ms")
        if value.strip()[-1:].isdigit():
            raise ConfigError(
                f"--slo: {name}: {value.strip()} has no unit; write {name}=40ms or {name}=2s"
            )
        try:
            limit = parse_duration(value)
        except ConfigError as error:
            raise ConfigError(f"--slo: {name}: {error.message}") from error
        if not limit > 0:
            raise ConfigError(f"--slo: {name}: {value} is not above 0; write it like {name}=2s")
        yield name, limit


def parse_layout(option: str, text: str) -> tuple[int, int, int | None]:
    """Return replicas, tp, and the batch size where it is given.

    Raises:
        ConfigError: It is not written so.
    """
    match = _LAYOUT.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"{option}: {quoted(text)} is no layout; write REPLICASxTP, such as 4x16, or 4x16x2 "
            "with 2 slots per replica"
        )
    return int(match[1]), int(match[2]), int(match[3]) if match[3] else None


def parse_devices(text: str) -> tuple[str, int | None]:
    """Return a device's name and how many there are: ``8xH100`` and ``h100x8`` alike."""
    match = _COUNTED.fullmatch(text.strip())
    if match is None:
        return text.strip(), None
    return (match[2], int(match[1])) if match[1] else (match[3], int(match[4]))


def hardware_keys(text: str, *, is_instance: bool) -> dict[str, str]:
    """Return the keys of the spec that plan for such hardware.

    Args:
        is_instance: It is an EC2 instance type with Neuron devices.
    """
    if is_instance:
        return {"engine.kind": "neuron", "engine.neuron.instance": text}
    name, count = parse_devices(text)
    return {"engine.kind": "vllm", "engine.vllm.devices": f"{count or _USUAL_DEVICES}x{name}"}
