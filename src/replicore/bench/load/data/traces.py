"""Recorded traffic: when requests came, how long they were, and what they shared. Pure.

Read are, by their columns:

=============  =====  =================================================  ===========
of             form   columns                                            times in
=============  =====  =================================================  ===========
Mooncake       JSONL  timestamp, input_length, output_length, hash_ids   milliseconds
Bailian        JSONL  the same, and chat_id                              seconds
BurstGPT       CSV    Timestamp, Request tokens, Response tokens         seconds
Azure          CSV    TIMESTAMP, ContextTokens, GeneratedTokens          date and time
=============  =====  =================================================  ===========

Rows with 0 input or output tokens failed when they were recorded, and are left out.

Source: kvcache-ai/Mooncake, alibaba-edu/qwen-bailian-usagetraces-anon, HPMLL/BurstGPT,
Azure/AzurePublicDataset.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from replicore.errors import ConfigError
from replicore.wording import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """One recorded request.

    Attributes:
        at_s: When it came, in seconds from any zero.
        hash_ids: Names of the blocks of its prompt: equal ones have equal content.
    """

    at_s: float
    input_tokens: int
    output_tokens: int
    hash_ids: tuple[int, ...] = ()


class _Line(msgspec.Struct):
    timestamp: float
    input_length: int
    output_length: int
    hash_ids: tuple[int, ...] = ()
    chat_id: int | str | None = None


@dataclass(frozen=True, slots=True)
class _Columns:
    at: str
    input_tokens: str
    output_tokens: str


_BURSTGPT = _Columns("Timestamp", "Request tokens", "Response tokens")
_AZURE = _Columns("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def parse_trace_lines(name: str, lines: Sequence[str]) -> tuple[TraceRow, ...]:
    """Return the rows of a JSONL trace, in order of time.

    Args:
        name: Of the file, for errors.

    Raises:
        ConfigError: A line is not a row, or there is none.
    """
    return _ordered(name, _json_rows(name, lines))


def parse_trace_csv(name: str, lines: Sequence[str]) -> tuple[TraceRow, ...]:
    """Return the rows of a CSV trace, in order of time.

    Raises:
        ConfigError: The columns are of no known trace, a line is not a row, or there is none.
    """
    return _ordered(name, _csv_rows(name, lines))


def block_tokens(rows: Sequence[TraceRow]) -> int:
    """Return the size of the blocks that ``hash_ids`` name.

    Traces do not tell it. It is the smallest power of two with which the blocks of every row cover
    its input: 512 for Mooncake's, 16 for Bailian's.
    """
    least = max(
        (-(-row.input_tokens // len(row.hash_ids)) for row in rows if row.hash_ids), default=1
    )
    return 1 << (least - 1).bit_length()


def _ordered(name: str, rows: Iterator[TraceRow]) -> tuple[TraceRow, ...]:
    kept = [row for row in rows if row.input_tokens > 0 and row.output_tokens > 0]
    if not kept:
        raise ConfigError(f"{name} has no request with input and output tokens")
    return tuple(sorted(kept, key=lambda row: row.at_s))


def _json_rows(name: str, lines: Sequence[str]) -> Iterator[TraceRow]:
    decode = msgspec.json.Decoder(_Line).decode
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = decode(line)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{name}, line {number}: {error}") from None
        yield TraceRow(
            at_s=row.timestamp if row.chat_id is not None else row.timestamp / 1000,
            input_tokens=row.input_length,
            output_tokens=row.output_length,
            hash_ids=row.hash_ids,
        )


def _csv_rows(name: str, lines: Sequence[str]) -> Iterator[TraceRow]:
    reader = csv.DictReader(lines)
    columns = _columns(name, reader.fieldnames or ())
    try:
        for fields in reader:
            yield _csv_row(fields, columns)
    except (TypeError, ValueError, OverflowError, csv.Error) as error:
        raise ConfigError(f"{name}, line {reader.reader.line_num}: {error}") from None


def _columns(name: str, header: Sequence[str]) -> _Columns:
    for columns in (_BURSTGPT, _AZURE):
        if {columns.at, columns.input_tokens, columns.output_tokens} <= set(header):
            return columns
    raise ConfigError(
        f"{name}: the columns {listed(header)} are of no trace that is known; BurstGPT has "
        f"{_named(_BURSTGPT)}, Azure has {_named(_AZURE)}"
    )


def _named(columns: _Columns) -> str:
    return listed((columns.at, columns.input_tokens, columns.output_tokens))


def _csv_row(fields: Mapping[str, str | None], columns: _Columns) -> TraceRow:
    return TraceRow(
        at_s=_seconds(fields[columns.at]),
        input_tokens=int(float(fields[columns.input_tokens] or "")),
        output_tokens=int(float(fields[columns.output_tokens] or "")),
    )


def _seconds(text: str | None) -> float:
    """Return a number of seconds, or a date and time as seconds; without a zone it is in UTC."""
    try:
        seconds = float(text or "")
    except ValueError:
        moment = datetime.fromisoformat(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"{text} is not a time")
    return seconds
