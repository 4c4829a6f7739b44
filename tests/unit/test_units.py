from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.errors import ConfigError
from replicore.units import (
    GIB,
    HOUR,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

YEAR = 365 * 24 * HOUR


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("30 s", 30.0),
        (" 2m ", 120.0),
        ("1.5h", 5400.0),  # 1.5 x 3600
        ("500ms", 0.5),
        ("500MS", 0.5),
        ("0.1ms", 0.0001),
        ("30", 30.0),
        (30, 30.0),
        (0.25, 0.25),
        (1e-7, 1e-7),
        ("0s", 0.0),
    ],
)
def test_duration_is_read_as_seconds(text: object, seconds: float) -> None:
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("30 parsecs", 'the unknown unit "parsecs"; use one of ms, s, m, h, as in "30s"'),
        ("-5s", '"-5s" is negative; use a duration from 0 up, such as "30s"'),
        (-5, "-5 is negative"),
        ("", '"" is not a duration; write a number and a unit (ms, s, m, h), such as "30s"'),
        ("1h30m", '"1h30m" is not a duration'),
        ("1e3s", '"1e3s" is not a duration'),
        ("٣s", "is not a duration"),
        (True, "true is not a duration"),
        (None, "None is not a duration"),
        ([30], "an array is not a duration"),
        (float("nan"), "nan is not a duration"),
        (float("inf"), "inf is not a duration"),
        pytest.param(16**4000, "a number of more than 64 bits is not a duration", id="huge"),
        ("900000000h", "is longer than a century"),
        ("9" * 5000, "is not a duration"),
    ],
)
def test_duration_that_is_none_is_refused_with_what_would_work(value: object, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_duration(value)

    assert why in caught.value.message
    assert not caught.value.message.endswith(".")
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 4 * GIB),
        ("4 gib", 4 * GIB),
        ("512MiB", 536_870_912),  # 512 x 1024^2
        ("1GB", 1_000_000_000),
        ("1.5KiB", 1536),
        ("64kB", 64_000),
        ("123", 123),
        (123, 123),
        ("0B", 0),
    ],
)
def test_size_is_read_as_bytes(text: object, size: int) -> None:
    assert size == parse_size(text)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("4Gi", "use one of B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"),
        ("4 giraffes", 'the unknown unit "giraffes"'),
        ("-1GiB", '"-1GiB" is negative; use a size from 0 up, such as "4GiB"'),
        ("1.5B", "is not a whole number of bytes; use a smaller unit"),
        (0.5, "is not a whole number of bytes"),
        ("9999999TiB", "is more than an exbibyte"),
        (False, "false is not a size"),
        pytest.param(16**4000, "a number of more than 64 bits is not a size", id="huge"),
    ],
)
def test_size_that_is_none_is_refused_with_what_would_work(value: object, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_size(value)

    assert why in caught.value.message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (30.0, "30s"), (90.0, "90s"), (600.0, "10m"), (7200.0, "2h"), (0.06, "60ms")],
)
def test_duration_is_written_in_the_largest_whole_unit(seconds: float, text: str) -> None:
    assert text == format_duration(seconds)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1, "1B"),
        (64 * 1024**2, "64MiB"),
        (10**9, "1GB"),
        (1500, "1500B"),
        (1536, "1536B"),
    ],
)
def test_size_is_written_in_the_largest_whole_unit(size: int, text: str) -> None:
    assert text == format_size(size)


@given(st.floats(min_value=0, max_value=100 * YEAR).filter(lambda s: s == 0 or s > 1e-15))
def test_written_duration_reads_back_as_the_same_number(seconds: float) -> None:
    assert seconds == parse_duration(format_duration(seconds))


@given(st.integers(min_value=0, max_value=2**60))
def test_written_size_reads_back_as_the_same_number(size: int) -> None:
    assert size == parse_size(format_size(size))


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_any_value_is_a_duration_or_an_error_of_ours(value: object) -> None:
    try:
        seconds = parse_duration(value)
    except ConfigError:
        return
    assert seconds >= 0
