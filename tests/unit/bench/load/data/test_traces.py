"""Traces: rows in seconds and tokens, whoever recorded them."""

from __future__ import annotations

import pytest

from replicore.bench.load.data.traces import (
    TraceRow,
    block_tokens,
    parse_trace_csv,
    parse_trace_lines,
)
from replicore.errors import ConfigError


def row(at_s: float, input_tokens: int, output_tokens: int, *hash_ids: int) -> TraceRow:
    return TraceRow(
        at_s=at_s, input_tokens=input_tokens, output_tokens=output_tokens, hash_ids=hash_ids
    )


def test_mooncake_s_times_are_milliseconds() -> None:
    lines = [
        '{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}',
        '{"timestamp": 1500, "input_length": 10, "output_length": 6, "hash_ids": [1]}',
        "",
    ]

    assert parse_trace_lines("t", lines) == (row(0, 600, 5, 1, 2), row(1.5, 10, 6, 1))


def test_bailian_s_times_are_seconds() -> None:
    line = (
        '{"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 20, '
        '"output_length": 7, "type": "text", "turn": 1, "hash_ids": [5, 6]}'
    )

    assert parse_trace_lines("t", [line]) == (row(61.114, 20, 7, 5, 6),)


def test_burstgpt_is_read_by_its_columns() -> None:
    lines = [
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type",
        "5,ChatGPT,472,18,490,Conversation log",
        "45.5,GPT-4,1087,230,1317,API log",
    ]

    assert parse_trace_csv("t", lines) == (row(5, 472, 18), row(45.5, 1087, 230))


def test_azure_s_times_are_dates_of_which_only_differences_count() -> None:
    lines = [
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        "2023-11-16 18:15:46.6805900,374,44",
        "2023-11-16 18:15:50.9951690,396,109",
    ]
    first, second = parse_trace_csv("t", lines)

    assert (first.input_tokens, second.output_tokens) == (374, 109)
    assert second.at_s - first.at_s == pytest.approx(4.314579, abs=1e-5)


def test_rows_that_failed_when_recorded_are_left_out() -> None:
    lines = [
        "Timestamp,Request tokens,Response tokens",
        "1,472,0",
        "2,0,5",
        "3,472,5",
    ]

    assert parse_trace_csv("t", lines) == (row(3, 472, 5),)


def test_rows_are_put_in_order_of_time() -> None:
    lines = ["Timestamp,Request tokens,Response tokens", "9,1,1", "4,2,2"]

    assert [one.at_s for one in parse_trace_csv("t", lines)] == [4, 9]


@pytest.mark.parametrize(
    ("rows", "tokens"),
    [
        ([row(0, 6758, 1, *range(14))], 512),  # 6758 / 14 = 482.7
        ([row(0, 521, 1, *range(33))], 16),  # 521 / 33 = 15.8
        ([row(0, 100, 1)], 1),  # no blocks at all
        ([row(0, 512, 1, 1), row(0, 600, 1, 1, 2)], 512),
    ],
)
def test_blocks_are_the_smallest_power_of_two_that_covers_every_row(
    rows: list[TraceRow], tokens: int
) -> None:
    assert block_tokens(rows) == tokens


def test_line_that_is_no_row_is_named() -> None:
    good = '{"timestamp": 0, "input_length": 6, "output_length": 5}'

    with pytest.raises(ConfigError, match=r"^t\.jsonl, line 2: .*output_length"):
        parse_trace_lines("t.jsonl", [good, '{"timestamp": 0, "input_length": 6}'])
    with pytest.raises(ConfigError, match=r"^t\.jsonl, line 1: "):
        parse_trace_lines("t.jsonl", ["nonsense"])


@pytest.mark.parametrize(
    "cells", ["soon,1,1", "nan,1,1", "1,x,1", "1,inf,1", "1,2", "1,,1", "1,1,1\r2"]
)
def test_csv_line_that_is_no_row_is_named(cells: str) -> None:
    lines = ["Timestamp,Request tokens,Response tokens", "1,2,3", cells]

    with pytest.raises(ConfigError, match=r"^t\.csv, line 3: "):
        parse_trace_csv("t.csv", lines)


def test_csv_of_unknown_columns_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r'"when".* BurstGPT has "Timestamp"'):
        parse_trace_csv("t.csv", ["when,how much", "1,2"])


def test_trace_without_a_usable_row_is_refused() -> None:
    with pytest.raises(ConfigError, match="no request with input and output"):
        parse_trace_lines("t", [""])
