"""The program of a llama.cpp replica: ``python llamacpp_server.py [--check] NAME=VALUE ...``.

Each NAME is an option of ``xllamacpp.CommonParams`` (``n_batch``, ``sampling.temp``). Without
``--check`` it then serves until SIGTERM. Exit codes: 0 stopped, 1 cannot serve, 2 a wrong option.

The file is run by its path, often under an interpreter that has no replicore (``engine.python``),
so it imports the standard library and xllamacpp only; that also makes it start in 0.1 s.
"""

from __future__ import annotations

import difflib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NoReturn

import xllamacpp

BOOLEANS = {"true": True, "on": True, "yes": True, "1": True} | {
    "false": False,
    "off": False,
    "no": False,
    "0": False,
}


class OptionError(ValueError):
    """Raised when an option is unknown or its value has the wrong type."""


def options(group: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every option as its dotted name and the object that has it as an attribute."""
    for name in dir(group):
        if name.startswith("_"):
            continue
        value = getattr(group, name)
        if is_group(value):
            yield from options(value, f"{prefix}{name}.")
        elif not callable(value):
            yield prefix + name, group


def is_group(value: object) -> bool:
    return type(value).__module__.startswith("xllamacpp") and not isinstance(value, Enum)


def set_options(params: object, assignments: Iterable[str]) -> None:
    """Set each ``NAME=VALUE``, in order.

    Raises:
        OptionError: The message names the option, the value and what would work.
    """
    owners = dict(options(params))
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        if name not in owners and is_switched_off(name, text, owners):
            name, text = name.removeprefix("no_"), "false"
        if name not in owners:
            raise OptionError(unknown_option(name, owners))
        set_option(owners[name], name, text)


def is_switched_off(name: str, text: str, owners: Mapping[str, object]) -> bool:
    """Whether this is ``--no-warmup``; ``no_perf`` and others are options by their own name."""
    switch = name.removeprefix("no_")
    return switch in owners and text == "true" and isinstance(value_of(owners, switch), bool)


def value_of(owners: Mapping[str, object], name: str) -> object:
    return getattr(owners[name], name.rpartition(".")[2])


def set_option(owner: object, name: str, text: str) -> None:
    attribute = name.rpartition(".")[2]
    try:
        setattr(owner, attribute, convert(text, getattr(owner, attribute)))
    except OptionError as error:
        raise OptionError(f"{flag(name)}: {text!r} is not {error}") from None
    except (TypeError, ValueError, OverflowError, AssertionError) as error:
        raise OptionError(f"{flag(name)}: llama.cpp refuses {text!r} ({error})") from None


def unknown_option(name: str, known: Iterable[str]) -> str:
    inside = [flag(other) for other in known if other.startswith(f"{name}.")]
    if inside:
        return f"{flag(name)} is a group of options: {', '.join(inside)}"
    nearest = [flag(other) for other in difflib.get_close_matches(name, list(known), n=1)]
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{flag(name)} is not an option of llama.cpp{hint}"


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def convert(text: str, current: object) -> object:
    """Return ``text`` as the type of ``current``, the option's default.

    Raises:
        OptionError: The message says what would be right.
    """
    if isinstance(current, bool):
        return convert_bool(text)
    if isinstance(current, Enum):
        return convert_enum(text, type(current))
    if isinstance(current, int):
        return convert_number(text, int, "an integer")
    if isinstance(current, float):
        return convert_number(text, float, "a number")
    if isinstance(current, str):
        return text
    return convert_json(text, current)


def convert_bool(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise OptionError("true or false")
    return BOOLEANS[text.lower()]


def convert_number(text: str, kind: type[int] | type[float], rule: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise OptionError(rule) from None


def convert_enum(text: str, enum: type[Enum]) -> Enum:
    """Take a member's whole name or what follows the prefix of all: GGML_TYPE_Q8_0 or q8_0."""
    names = list(enum.__members__)
    prefix = os.path.commonprefix(names).rpartition("_")[0] + "_"  # noqa: RUF071  # no paths
    short = {name.removeprefix(prefix).lower(): name for name in names}
    wanted = text.upper().replace("-", "_").removeprefix(prefix).lower()
    if wanted not in short:
        raise OptionError(f"one of {', '.join(short)}")
    return enum[short[wanted]]


def convert_json(text: str, current: object) -> object:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    if isinstance(current, dict) and isinstance(value, dict):
        # default_template_kwargs, the only one: llama.cpp keeps each value as JSON text
        return {name: json.dumps(item) for name, item in value.items()}
    if isinstance(current, set) and isinstance(value, list):
        return set(value)
    if isinstance(current, list) and isinstance(value, list):
        return convert_list(value, current)
    raise OptionError(f"a JSON {'object' if isinstance(current, dict) else 'list'}")


def convert_list(value: list[object], current: list[object]) -> list[object]:
    """Convert the items; a list of fixed length (tensor_split) keeps its end."""
    items = [convert_item(item, current) for item in value]
    return items + current[len(items) :]


def convert_item(item: object, current: list[object]) -> object:
    if isinstance(item, dict):
        # lora_adapters, the only list of objects that xllamacpp lets us build
        return xllamacpp.CommonAdapterLoraInfo(**item)
    if current and isinstance(current[0], Enum):
        return convert_enum(str(item), type(current[0]))
    return item


def serve(params: xllamacpp.CommonParams) -> NoReturn:
    """Load the model, serve it, and end the process on SIGTERM or SIGINT.

    Until the model is loaded both signals kill at once: the constructor keeps Python's lock, so no
    handler could run.
    """
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        log(f"cannot serve {params.model.path}: llama.cpp's lines above say why")
        os._exit(1)
    log(f"serving {params.model.path} on {server.listening_address}")
    wait_for_signal()
    # not sys.exit(): the server's destructor would wait for the running requests
    os._exit(0)


def wait_for_signal() -> None:
    """Return at the first SIGTERM or SIGINT, whichever thread the kernel gives it to."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: None)
    reader.recv(1)


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def main(argv: Sequence[str]) -> int:
    check = argv[:1] == ["--check"]
    params = xllamacpp.CommonParams()
    try:
        set_options(params, argv[1:] if check else argv)
    except OptionError as error:
        log(str(error))
        return 2
    if check:
        return 0
    serve(params)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
