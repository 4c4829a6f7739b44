"""From a TOML file, environment variables and flags to a :class:`Spec`.

Precedence: flag > environment variable > file > default. ``REPLICORE_LAYOUT__TP=2`` sets
``layout.tp``; an empty variable counts as not set. Relative paths in the file start at the file's
folder, those in a variable or a flag at the working directory.
"""

from __future__ import annotations

import os.path
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from replicore.errors import SpecError
from replicore.spec.keys import VARIABLE_PREFIX, KeyPath, keys
from replicore.spec.problems import spec_error
from replicore.spec.tables import Spec
from replicore.spec.values import Text
from replicore.wording import nearest, quoted

COMMAND_LINE = "command line"

# Variables of ours that are not keys of the spec.
OTHER_VARIABLES = frozenset(
    {
        "REPLICORE_STATE_DIR",
        "REPLICORE_CACHE_DIR",
        "REPLICORE_CALIBRATIONS_DIR",
        "REPLICORE_DEBUG",
        # In the environment of every process that a deployment starts.
        "REPLICORE_DEPLOYMENT",
        "REPLICORE_UNIT",
    }
)

_TOML_PLACE = re.compile(r"(?P<fault>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|.*)\)")


def load_spec(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Spec:
    """Return the spec of a file, with what the environment and the command line set on top.

    Args:
        path: A TOML file; None for the defaults alone.
        overrides: Values of flags by dotted key, ``{"layout.tp": "2"}``. Text is read as in a
            variable, anything else is taken as it is.

    Raises:
        SpecError: The file cannot be read, or a key or value is wrong; names where it comes from.
    """
    data = {} if path is None else read_toml(path)
    origins: dict[KeyPath, str] = {}
    for key, value, origin in (*_variables(environ), *_flags(overrides or {})):
        _put(data, key, value)
        origins[key] = origin
    try:
        return Spec.model_validate(data, context={"locate": _Locate(path)})
    except ValidationError as error:
        elsewhere = str(path) if path else next(iter(origins.values()), "spec")
        raise spec_error(
            error.errors(include_url=False), lambda key: _origin(key, origins, elsewhere)
        ) from None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        SpecError: It cannot be read, is not UTF-8 or is not TOML; names line and column.
    """
    text = _read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SpecError(f"{path}: the values are nested too deeply; use plain tables") from None
    except ValueError as error:
        raise _syntax_error(path, text, str(error)) from None


def _read_text(path: Path) -> str:
    try:
        # Editors on Windows put a byte order mark in front.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = f"`replicore init {path}` writes one"
        raise SpecError(
            f"{path}: there is no such file; give the path of a spec", hint=hint
        ) from None
    except IsADirectoryError:
        raise SpecError(f"{path}: this is a folder; give the path of a TOML file in it") from None
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path}: byte {error.start} is not UTF-8 text; a spec is a TOML file in UTF-8"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(f"{path}: cannot be read ({reason}); give a file that can") from None


def _syntax_error(path: Path, text: str, fault: str) -> SpecError:
    """Return the error of a file that is not TOML, with the line that it stumbled over."""
    place = _TOML_PLACE.fullmatch(fault)
    lines = text.splitlines() or [""]
    if place is None:
        return SpecError(f"{path}: not valid TOML: {fault}")
    number = int(place["line"] or len(lines))
    column = int(place["column"] or len(lines[-1]) + 1)
    line = quoted(lines[number - 1].strip()) if number <= len(lines) else "its end"
    return SpecError(
        f"{path}: line {number}, column {column}: not valid TOML: {_lower_first(place['fault'])}; "
        f"write KEY = VALUE lines under [TABLE] lines, and text in quotes",
        hint=f"the line is {line}",
    )


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[KeyPath, object, str]]:
    known = {key.variable: path for path, key in keys().items()}
    free = {f"{key.variable}__": path for path, key in keys().items() if key.is_table}
    for name, value in environ.items():
        if not name.startswith(VARIABLE_PREFIX) or name in OTHER_VARIABLES or not value:
            continue
        prefix = next((prefix for prefix in free if name.startswith(prefix)), None)
        if name in known:
            yield known[name], Text(value), name
        elif prefix:
            yield (*free[prefix], name.removeprefix(prefix)), Text(value), name
        else:
            raise _unknown_variable(name, known)


def _unknown_variable(name: str, known: Mapping[str, KeyPath]) -> SpecError:
    # Without the prefix: it alone would make any two of them similar.
    words = [other.removeprefix(VARIABLE_PREFIX) for other in [*known, *sorted(OTHER_VARIABLES)]]
    meant = nearest(name.removeprefix(VARIABLE_PREFIX), words)
    remedy = f"did you mean {VARIABLE_PREFIX}{meant}?" if meant else "unset it"
    return SpecError(
        f"{name}: no key of the spec has this variable; {remedy}",
        hint="REPLICORE_SECTION__KEY sets a key; docs/configuration.md lists all of them",
    )


def _flags(overrides: Mapping[str, object]) -> Iterator[tuple[KeyPath, object, str]]:
    for dotted, value in overrides.items():
        given = Text(value) if isinstance(value, str) else value
        yield tuple(dotted.split(".")), given, COMMAND_LINE


def _put(data: dict[str, Any], key: KeyPath, value: object) -> None:
    """Set a key in nested tables; where the file has no table, its own error comes first."""
    *tables, last = key
    table: Any = data
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return
    table[last] = value


def _origin(key: KeyPath, origins: Mapping[KeyPath, str], elsewhere: str) -> str:
    for end in range(len(key), 0, -1):
        if key[:end] in origins:
            return origins[key[:end]]
    return elsewhere


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Locate:
    """Finds paths: those of the file from its folder, those given as text from here."""

    def __init__(self, spec: Path | None) -> None:
        self._folder = (spec.parent if spec else Path()).absolute()

    def __call__(self, path: str) -> Path:
        folder = Path().absolute() if isinstance(path, Text) else self._folder
        return folder / os.path.expanduser(path)  # pathlib's raises where there is no home
