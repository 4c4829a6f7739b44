"""Arrivals and lengths as they are written on a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from replicore.bench.load.arrivals import Arrivals, Constant, Gamma, Poisson, Ramp, Trace
from replicore.bench.load.data.files import read
from replicore.bench.load.lengths import Lengths
from replicore.errors import ConfigError
from replicore.units import parse_duration
from replicore.wording import quoted

_ARRIVALS_HELP = "10/s, poisson:10, gamma:10:0.5, ramp:1..50:60s, trace:FILE or trace:FILE@2x"
_LENGTHS_HELP = "128, 128±32, normal:128,32, uniform:64..256 or file:FILE"
_SPEED = re.compile(r"(.+)@([0-9.]+)x")


def parse_arrivals(text: str) -> Arrivals:
    """Return the arrivals that a text names.

    =====================  =========================================================
    ``10/s``, ``10``       evenly spaced
    ``poisson:10``         independent, 10/s on average
    ``gamma:10:0.5``       in bursts: shape 0.5; above 1 more even than Poisson
    ``ramp:1..50:60s``     from 1/s to 50/s within 60 s, then 50/s
    ``trace:FILE``         the times of a trace; ``@2x`` behind it: twice as fast
    =====================  =========================================================

    Raises:
        ConfigError: It names none of them, a number is out of range, or the file has no times.
    """
    kind, _, rest = text.strip().partition(":")
    try:
        return _ARRIVALS[kind](rest) if rest else Constant(_rate(kind))
    except (KeyError, ValueError):
        message = f"arrivals {quoted(text)} are of no form that is known; use {_ARRIVALS_HELP}"
        raise ConfigError(message) from None


def _gamma(text: str) -> Arrivals:
    rate, shape = text.split(":")
    return Gamma(_rate(rate), _number(shape))


def _ramp(text: str) -> Arrivals:
    rates, seconds = text.split(":")
    start, end = rates.split("..")
    return Ramp(_rate(start), _rate(end), parse_duration(seconds))


def _trace(text: str) -> Arrivals:
    match = _SPEED.fullmatch(text)
    path, speed = match.groups() if match is not None else (text, "1")
    contents = read(path)
    if not contents.trace:
        raise ConfigError(f"{path} has no times; a trace has timestamps and lengths")
    return Trace(tuple(row.at_s for row in contents.trace), _number(speed))


_ARRIVALS: Mapping[str, Callable[[str], Arrivals]] = {
    "poisson": lambda text: Poisson(_rate(text)),
    "gamma": _gamma,
    "ramp": _ramp,
    "trace": _trace,
}


def parse_lengths(text: str) -> Lengths:
    """Return the lengths that a text names.

    =============================  ==================================================
    ``128``                        always 128 tokens
    ``128±32``, ``normal:128,32``  normal: mean and standard deviation
    ``uniform:64..256``            each of 64 to 256 with the same chance
    ``file:FILE``                  one of the numbers in a file, separated by spaces,
                                   commas or line ends
    =============================  ==================================================

    Raises:
        ConfigError: It names none of them, a number is out of range, or the file has no numbers.
    """
    kind, _, rest = text.strip().partition(":")
    try:
        return _LENGTHS[kind](rest) if rest else _normal(kind.replace("+-", "±"), "±")
    except (KeyError, ValueError):
        message = f"lengths {quoted(text)} are of no form that is known; use {_LENGTHS_HELP}"
        raise ConfigError(message) from None


def _normal(text: str, separator: str) -> Lengths:
    mean, found, stddev = text.partition(separator)
    return Lengths(_number(mean), _number(stddev) if found else 0.0)


def _uniform(text: str) -> Lengths:
    low, high = text.split("..")
    return Lengths.uniform(int(low), int(high))


def _of_file(path: str) -> Lengths:
    try:
        text = Path(path).expanduser().read_text()
        return Lengths.of(int(number) for number in text.replace(",", " ").split())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not a list of lengths: {error}") from None


_LENGTHS: Mapping[str, Callable[[str], Lengths]] = {
    "normal": lambda text: _normal(text, ","),
    "uniform": _uniform,
    "file": _of_file,
}


def _rate(text: str) -> float:
    return _number(text.removesuffix("/s"))


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number")
    return number
