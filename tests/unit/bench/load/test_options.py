"""Arrivals and lengths as they are written on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.bench.load.arrivals import Arrivals, Constant, Gamma, Poisson, Ramp, Trace
from replicore.bench.load.lengths import Lengths
from replicore.bench.load.options import parse_arrivals, parse_lengths
from replicore.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "arrivals"),
    [
        ("10", Constant(10)),
        ("10/s", Constant(10)),
        ("0.5/s", Constant(0.5)),
        ("poisson:10", Poisson(10)),
        ("poisson:10/s", Poisson(10)),
        ("gamma:10:0.5", Gamma(10, 0.5)),
        ("ramp:1..50:60s", Ramp(1, 50, 60)),
        ("ramp:1/s..50/s:1m", Ramp(1, 50, 60)),
    ],
)
def test_arrivals_are_read(text: str, arrivals: Arrivals) -> None:
    assert parse_arrivals(text) == arrivals


@pytest.mark.parametrize("arrivals", [Constant(7.5), Poisson(3), Gamma(2, 4), Ramp(1, 9, 30)])
def test_arrivals_are_written_as_they_are_read(arrivals: Arrivals) -> None:
    assert parse_arrivals(str(arrivals)) == arrivals


@pytest.mark.parametrize(
    "text",
    ["", "fast", "poisson", "poisson:", "poisson:x", "gamma:10", "ramp:1..5", "ramp:5:60s", "nan"],
)
def test_arrivals_of_an_unknown_form_are_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ConfigError, match=r"of no form that is known; use 10/s, poisson:10"):
        parse_arrivals(text)


def test_arrivals_out_of_range_are_refused_with_the_rule() -> None:
    with pytest.raises(ConfigError, match="rate 0/s is not above 0"):
        parse_arrivals("poisson:0")
    with pytest.raises(ConfigError, match="not a duration"):
        parse_arrivals("ramp:1..5:soon")


def write_trace(folder: Path) -> Path:
    file = folder / "trace.jsonl"
    file.write_text(
        '{"timestamp": 2000, "input_length": 5, "output_length": 6}\n'
        '{"timestamp": 3500, "input_length": 5, "output_length": 6}\n'
    )
    return file


def test_trace_gives_its_times_in_seconds(tmp_path: Path) -> None:
    assert parse_arrivals(f"trace:{write_trace(tmp_path)}") == Trace((2.0, 3.5))


def test_trace_may_be_run_faster(tmp_path: Path) -> None:
    assert parse_arrivals(f"trace:{write_trace(tmp_path)}@2.5x") == Trace((2.0, 3.5), speed=2.5)


def test_file_without_times_is_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "hello"}\n')

    with pytest.raises(ConfigError, match="has no times"):
        parse_arrivals(f"trace:{file}")


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("128", Lengths(128)),
        ("128±32", Lengths(128, 32)),
        ("128+-32", Lengths(128, 32)),
        ("normal:128,32", Lengths(128, 32)),
        ("normal:128", Lengths(128)),
        ("uniform:64..256", Lengths.uniform(64, 256)),
    ],
)
def test_lengths_are_read(text: str, lengths: Lengths) -> None:
    assert parse_lengths(text) == lengths


@pytest.mark.parametrize("lengths", [Lengths(8), Lengths(8, 2.5), Lengths.uniform(2, 9)])
def test_lengths_are_written_as_they_are_read(lengths: Lengths) -> None:
    assert parse_lengths(str(lengths)) == lengths


@pytest.mark.parametrize("text", ["", "long", "128±", "uniform:5", "uniform:1.5..2", "128:32"])
def test_lengths_of_an_unknown_form_are_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ConfigError, match=r"of no form that is known; use 128, 128±32"):
        parse_lengths(text)


def test_lengths_of_a_file_are_its_numbers(tmp_path: Path) -> None:
    file = tmp_path / "lengths.txt"
    file.write_text("10, 20\n30\n")

    assert parse_lengths(f"file:{file}") == Lengths.of([10, 20, 30])


def test_lengths_of_a_file_that_is_not_there_or_no_list_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "lengths.txt"
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_lengths(f"file:{file}")

    file.write_text("ten")
    with pytest.raises(ConfigError, match="is not a list of lengths"):
        parse_lengths(f"file:{file}")
