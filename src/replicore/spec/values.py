"""The types of the spec's keys: what a value may look like, and what is said of one that does not.

A value comes from a TOML file or, as :class:`Text`, from an environment variable or a flag. Numbers
are strict in a file (``tp = "2"`` is an error), because TOML has types; text is read as TOML first.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from replicore.cores import CoreRange
from replicore.units import Duration, Size, as_validator
from replicore.wording import quoted

_MAX_NAME = 63
MAX_NUMBER = 2**31 - 1  # Engines keep counts in 32 bits.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Text(str):
    """A value given by an environment variable or a flag: it has no type of its own yet."""

    __slots__ = ()


def read_text(value: object) -> object:
    """Return what TOML reads in a :class:`Text`, or its characters where it reads nothing."""
    if not isinstance(value, Text):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return str(value)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError(f"{quoted(value)} has a control character in it; leave it out")
    return value


def _argument(value: str) -> str:
    # The kernel ends an argument, a variable or a path at the first NUL.
    if "\0" in value:
        raise ValueError(f"{quoted(value)} has a NUL character in it; leave it out")
    return value


def _folder_name(value: str) -> str:
    if len(value) > _MAX_NAME:
        raise ValueError(
            f"{quoted(value)} is longer than {_MAX_NAME} characters; use a shorter name"
        )
    if not _NAME.fullmatch(value):
        usable = re.sub(r"[^a-z0-9._-]+", "-", value.lower()).strip("-._") or "llama"
        raise ValueError(
            f"{quoted(value)} cannot name a folder; use a-z, 0-9, '-', '_' and '.', "
            f"with a letter or digit first, such as {quoted(usable)}"
        )
    return value


def _variable_name(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(
            f"{quoted(value)} cannot name an environment variable; use letters, digits and '_'"
        )
    return value


def _host(value: str) -> str:
    if "/" in value or " " in value or value.count(":") == 1:
        raise ValueError(
            f"{quoted(value)} is not an address; use an IP address or a host name, such as "
            f'"127.0.0.1" or "0.0.0.0", and put the port into gateway.port'
        )
    return value


def _endpoint(value: str) -> str:
    try:
        url = urlsplit(value)
        usable = url.scheme == "http" and url.hostname and url.port != 0 and "@" not in url.netloc
    except ValueError:
        usable = False
    if not usable or url.path.strip("/") or url.query or url.fragment:
        raise ValueError(
            f"{quoted(value)} is not the base URL of a server; write http://HOST:PORT without a "
            f'path, such as "http://127.0.0.1:8001"'
        )
    return f"http://{url.netloc}"


def _count(value: object) -> object:
    value = read_text(value)
    if value == "auto":
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(
            f'{quoted(value)} is not a whole number; use one from 1 up, such as 2, or "auto"'
        )
    if value < 1:
        raise ValueError(f'{quoted(value)} is less than 1; use 1 or more, or "auto"')
    if value > MAX_NUMBER:
        raise ValueError(f'{quoted(value)} is more than {MAX_NUMBER}; use less, or "auto"')
    return value


def _cores(value: object) -> CoreRange:
    if isinstance(value, CoreRange):
        return value
    if not isinstance(value, str):
        raise ValueError(f'{quoted(value)} is not a string; use one such as "0-3,8"')
    return CoreRange.parse(value)


def _location(value: object, info: ValidationInfo) -> object:
    return _located(value, info) if isinstance(value, str) else value


def _program(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str) and "/" not in value:
        return _path_text(value)  # `python3` is looked up on the search path
    return _location(value, info)


def _source(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    relative = value.startswith(("./", "../", "~/"))
    bare_file = value.endswith(".gguf") and "/" not in value
    return str(_located(value, info)) if relative or bare_file else value


def _located(value: str, info: ValidationInfo) -> Path:
    """Return the path from the folder that it is relative to, which the loader knows."""
    locate = info.context["locate"] if info.context else Path
    path: Path = locate(_path_text(value))
    return path


def _path_text(value: str) -> str:
    if not value:
        raise ValueError("is empty; give a path, or leave the key out")
    return _printable(value)


PositiveInt = Annotated[int, Field(strict=True, ge=1, le=MAX_NUMBER), BeforeValidator(read_text)]
NaturalInt = Annotated[int, Field(strict=True, ge=0, le=MAX_NUMBER), BeforeValidator(read_text)]
Port = Annotated[int, Field(strict=True, ge=0, le=65_535), BeforeValidator(read_text)]
PositiveNumber = Annotated[
    float, Field(strict=True, gt=0, allow_inf_nan=False), BeforeValidator(read_text)
]
NaturalNumber = Annotated[
    float, Field(strict=True, ge=0, allow_inf_nan=False), BeforeValidator(read_text)
]
Share = Annotated[float, Field(strict=True, gt=0, le=1), BeforeValidator(read_text)]
PositiveDuration = Annotated[Duration, Field(gt=0)]
PositiveSize = Annotated[Size, Field(gt=0)]
Bool = Annotated[bool, Field(strict=True), BeforeValidator(read_text)]
Count = Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], BeforeValidator(_count)]
"""A positive number, or what is found to fit."""

String = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
Name = Annotated[str, AfterValidator(_folder_name)]
Host = Annotated[String, AfterValidator(_host)]
Endpoint = Annotated[String, AfterValidator(_endpoint)]
Source = Annotated[String, BeforeValidator(_source)]
Location = Annotated[Path, BeforeValidator(_location)]
Program = Annotated[Path, BeforeValidator(_program)]

Argument = Annotated[str, AfterValidator(_argument)]
Arguments = Annotated[tuple[Argument, ...], BeforeValidator(read_text)]
Variables = Annotated[
    dict[Annotated[str, AfterValidator(_variable_name)], Argument], BeforeValidator(read_text)
]

JsonTable = Annotated[
    dict[str, Annotated[JsonValue, BeforeValidator(read_text)]],
    BeforeValidator(read_text),
    WithJsonSchema({"type": "object", "format": "table"}),
]
"""A table with free keys, whose values are passed on as JSON."""

Cores = Annotated[
    CoreRange,
    PlainValidator(as_validator(_cores)),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "core range"}),
]
