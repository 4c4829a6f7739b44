"""Files of requests: which kind one is, and what is in it."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from replicore.bench.load.data.conversations import Conversation, parse_prompts, parse_sharegpt
from replicore.bench.load.data.traces import TraceRow, parse_trace_csv, parse_trace_lines
from replicore.bench.load.workload import DataFile, DataFormat
from replicore.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file of requests holds; one of the two is empty.

    Attributes:
        trace: In order of time.
        conversations: In the file's order.
    """

    file: DataFile
    trace: tuple[TraceRow, ...] = ()
    conversations: tuple[Conversation, ...] = ()


def describe(path: str | Path) -> DataFile:
    """Return what a workload says of the file that its requests come from.

    Raises:
        ConfigError: It cannot be read, or is of no known kind.
    """
    return read(path).file


def read_unchanged(file: DataFile) -> Contents:
    """Return what is in ``file``.

    Raises:
        ConfigError: It cannot be read, or is not what it was when it was described.
    """
    contents = read(file.path)
    if contents.file != file:
        raise ConfigError(f"{file.path} was changed since this run was planned")
    return contents


def read(path: str | Path) -> Contents:
    """Return what is in a file: ShareGPT's JSON, JSON lines, or a trace.

    Raises:
        ConfigError: It cannot be read, or is of no known kind.
    """
    name = str(path)
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror or error}") from None
    kind, trace, conversations = _parsed(name, data.removeprefix(BOM_UTF8))
    rows = len(trace or conversations)
    file = DataFile(path=name, format=kind, sha256=sha256(data).hexdigest(), rows=rows)
    return Contents(file=file, trace=trace, conversations=conversations)


def _parsed(
    name: str, data: bytes
) -> tuple[DataFormat, tuple[TraceRow, ...], tuple[Conversation, ...]]:
    if data.lstrip()[:1] == b"[":
        return DataFormat.CONVERSATIONS, (), parse_sharegpt(name, data)
    try:
        # Only line feeds end a line: a text may hold what else Python takes for line ends.
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        raise ConfigError(f"{name} is not a text in UTF-8") from None
    if Path(name).suffix == ".csv":
        return DataFormat.TRACE, parse_trace_csv(name, lines), ()
    if _has_lengths(lines):
        return DataFormat.TRACE, parse_trace_lines(name, lines), ()
    return DataFormat.PROMPTS, (), parse_prompts(name, lines)


def _has_lengths(lines: list[str]) -> bool:
    """Tell a trace from prompts by its first line."""
    try:
        first = json.loads(next((line for line in lines if line.strip()), "{}"))
    except ValueError:
        return False
    return isinstance(first, dict) and "input_length" in first
