"""From pydantic's list of errors to one sentence: where, what, the rule, what would work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from replicore.errors import SpecError
from replicore.spec.keys import KeyPath, keys, nearest_key, section_at
from replicore.spec.tables import Conflict
from replicore.spec.toml import toml_key, toml_value
from replicore.wording import listed, nearest, quoted, shortened

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# pydantic's name of the error, and what was asked for.
_WANTED: Mapping[str, str] = MappingProxyType(
    {
        "int_type": "a whole number",
        "float_type": "a number",
        "finite_number": "a number",
        "bool_type": "true or false",
        "string_type": "a string",
        "path_type": "a path, which is a string",
        "tuple_type": "an array",
        "dict_type": "a table",
    }
)


def spec_error(details: Sequence[ErrorDetails], origin: Callable[[KeyPath], str]) -> SpecError:
    """Return the first problem as the error and the others as its hint.

    Args:
        details: Not empty.
        origin: Tells where the value of a key comes from: a file, a variable, the command line.
    """
    first, *others = [_sentence(detail, origin) for detail in details]
    hint = "\n  ".join(["also wrong:", *others]) if others else None
    return SpecError(first, hint=hint)


def _sentence(detail: ErrorDetails, origin: Callable[[KeyPath], str]) -> str:
    path, where = _place(detail)
    fault = _FAULTS.get(detail["type"], _wrong_type)
    return f"{origin(path)}: {where}: {fault(detail, path)}"


def _place(detail: ErrorDetails) -> tuple[KeyPath, str]:
    """Return the path of the key, and it as people write it: ``engine.args[1]``."""
    error = detail.get("ctx", {}).get("error")
    conflict = error.key.split(".") if isinstance(error, Conflict) else []
    parts = [*detail["loc"], *conflict]
    # pydantic adds this to the place of a key of a free table where the key itself is wrong.
    if detail["type"] == "value_error" and parts[-1:] == ["[key]"]:
        parts.pop()
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{shortened(toml_key(p))}" for p in parts)
    return tuple(part for part in parts if isinstance(part, str)), where.removeprefix(".")


def _ours(detail: ErrorDetails, path: KeyPath) -> str:
    return str(detail["ctx"]["error"])


def _unknown_key(detail: ErrorDetails, path: KeyPath) -> str:
    meant = nearest_key(path)
    if meant:
        return f"unknown key; did you mean {meant}?"
    section = section_at(path[:-1])
    known = [*section.table.model_fields] if section else []
    return f"unknown key; the keys here are {', '.join(known)}"


def _out_of_range(detail: ErrorDetails, path: KeyPath) -> str:
    value = quoted(detail["input"])
    match detail["ctx"]:
        case {"ge": lowest}:
            return f"{value} is less than {round(lowest)}; use {round(lowest)} or more"
        case {"le": highest}:
            return f"{value} is more than {round(highest)}; use {round(highest)} or less"
    return f"{value} is too small; use more than 0, such as {_example(path)}"


def _unknown_choice(detail: ErrorDetails, path: KeyPath) -> str:
    choices = keys()[path].choices
    fault = f"unknown value {quoted(detail['input'])} (valid: {listed(choices)})"
    words = [choice for choice in choices if isinstance(choice, str)]
    meant = nearest(detail["input"], words) if isinstance(detail["input"], str) else None
    return f"{fault}; did you mean {quoted(meant)}?" if meant else fault


def _empty(detail: ErrorDetails, path: KeyPath) -> str:
    return f"is empty; use a name, such as {_example(path)}"


def _not_a_table(detail: ErrorDetails, path: KeyPath) -> str:
    section = section_at(path)
    first = next(iter(section.table.model_fields)) if section else "key"
    return (
        f"{quoted(detail['input'])} is not a table; "
        f"set its keys, such as {'.'.join([*path, first])}"
    )


def _example(path: KeyPath) -> str:
    key = keys().get(path)
    return toml_value(key.example) if key else '"text"'


def _wrong_type(detail: ErrorDetails, path: KeyPath) -> str:
    value, wanted = detail["input"], _WANTED.get(detail["type"], "of the right type")
    if wanted == "a string" and isinstance(value, int | float):
        return f"{quoted(value)} is not a string; write {quoted(quoted(value))}"
    return f"{quoted(value)} is not {wanted}; use one such as {_example(path)}"


_FAULTS: Mapping[str, Callable[[ErrorDetails, KeyPath], str]] = MappingProxyType(
    {
        "value_error": _ours,
        "extra_forbidden": _unknown_key,
        "greater_than": _out_of_range,
        "greater_than_equal": _out_of_range,
        "less_than_equal": _out_of_range,
        "literal_error": _unknown_choice,
        "string_too_short": _empty,
        "model_type": _not_a_table,
    }
)
