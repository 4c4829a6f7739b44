"""Durations and sizes as people write them: ``"30s"`` and ``"4GiB"``.

Inside, a duration is a float in seconds and a size is an int in bytes. The text forms are exact:
the parsers read what the formatters write back as the same number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from replicore.errors import ConfigError
from replicore.wording import quoted

Parsed = TypeVar("Parsed")

SECOND = 1.0
MINUTE = 60.0
HOUR = 3600.0

KIB = 1024
MIB = 1024**2
GIB = 1024**3
TIB = 1024**4

# Largest first: the formatters take the first unit that leaves a whole number.
_SECONDS = {"h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}
_BYTES = {
    "TiB": Decimal(TIB),
    "TB": Decimal(10**12),
    "GiB": Decimal(GIB),
    "GB": Decimal(10**9),
    "MiB": Decimal(MIB),
    "MB": Decimal(10**6),
    "KiB": Decimal(KIB),
    "kB": Decimal(1000),
    "B": Decimal(1),
}

# A century, an exbibyte: beyond what a wait or a memory can be, and safe in every later sum.
_MAX_SECONDS = 100 * 366 * 24 * HOUR
_MAX_BYTES = 2**60

_QUANTITY = re.compile(r"([0-9]{1,40}(?:\.[0-9]{1,40})?) ?([A-Za-z]*)")


def parse_duration(value: object) -> float:
    """Return a duration in seconds; a number without a unit counts seconds.

    =========  ======
    ``"30s"``    30.0
    ``"500ms"``   0.5
    ``"1.5h"``   5400.0
    ``30``       30.0
    =========  ======

    Raises:
        ConfigError: Negative, longer than a century, of another unit, or no duration at all.
    """
    seconds = _quantity(value, _SECONDS, bare="s", kind="duration", example="30s")
    if seconds > _MAX_SECONDS:
        raise ConfigError(f"{quoted(value)} is longer than a century; use a shorter duration")
    return float(seconds)


def parse_size(value: object) -> int:
    """Return a size in bytes; a number without a unit counts bytes, and unit case is ignored.

    ``KiB MiB GiB TiB`` are powers of 1024, ``kB MB GB TB`` are powers of 1000.

    Raises:
        ConfigError: Negative, not a whole number of bytes, above an exbibyte, of another unit,
            or no size at all.
    """
    size = _quantity(value, _BYTES, bare="B", kind="size", example="4GiB")
    if size > _MAX_BYTES:
        raise ConfigError(f"{quoted(value)} is more than an exbibyte; use a smaller size")
    if size != int(size):
        raise ConfigError(f"{quoted(value)} is not a whole number of bytes; use a smaller unit")
    return int(size)


def format_duration(seconds: float) -> str:
    """Return the text of a duration in the largest unit that leaves a whole number."""
    return _format(Decimal(repr(float(seconds))), _SECONDS, fallback="s")


def format_size(size: int) -> str:
    """Return the text of a size in the largest unit that leaves a whole number."""
    return _format(Decimal(size), _BYTES, fallback="B")


def as_validator(parse: Callable[[Any], Parsed]) -> Callable[[Any], Parsed]:
    """Return ``parse`` for pydantic, which collects ``ValueError`` and no other error."""

    def validate(value: Any) -> Parsed:
        try:
            return parse(value)
        except ConfigError as error:
            raise ValueError(error.message) from error

    return validate


Duration = Annotated[
    float,
    BeforeValidator(as_validator(parse_duration)),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
"""A field of a pydantic model: any text form in, seconds inside, the text form out as JSON."""

Size = Annotated[
    int,
    BeforeValidator(as_validator(parse_size)),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema({"type": "string", "format": "size"}),
]
"""A field of a pydantic model: any text form in, bytes inside, the text form out as JSON."""


def _quantity(
    value: object, units: Mapping[str, Decimal], *, bare: str, kind: str, example: str
) -> Decimal:
    text = _number_text(value)
    if text.startswith("-"):
        raise ConfigError(
            f'{quoted(value)} is negative; use a {kind} from 0 up, such as "{example}"'
        )
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{quoted(value)} is not a {kind}; write a number and a unit "
            f'({_names(units)}), such as "{example}"'
        )
    number, unit = match.groups()
    return Decimal(number) * _factor(unit or bare, units, value=value, example=example)


def _number_text(value: object) -> str:
    """Return the digits of a number or the text as given; empty for anything else."""
    match value:
        case str():
            return value.strip()
        case int() if not isinstance(value, bool) and value.bit_length() <= 64:
            return str(value)
        case float() if math.isfinite(value):
            return f"{Decimal(repr(value)):f}"
    return ""


def _factor(unit: str, units: Mapping[str, Decimal], *, value: object, example: str) -> Decimal:
    by_case_folded = {name.casefold(): factor for name, factor in units.items()}
    try:
        return by_case_folded[unit.casefold()]
    except KeyError:
        raise ConfigError(
            f'{quoted(value)} has the unknown unit "{unit}"; '
            f'use one of {_names(units)}, as in "{example}"'
        ) from None


def _format(number: Decimal, units: Mapping[str, Decimal], *, fallback: str) -> str:
    whole = (
        f"{int(number / factor)}{name}"
        for name, factor in units.items()
        if number and number % factor == 0
    )
    return next(whole, f"{number.normalize():f}{fallback}")


def _names(units: Mapping[str, Decimal]) -> str:
    return ", ".join(reversed(list(units)))
