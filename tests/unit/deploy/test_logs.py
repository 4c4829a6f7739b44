from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from replicore.deploy.logs import LogReader


@pytest.fixture(name="logs")
def _logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture(name="reader")
def _reader(logs: Path) -> Iterator[LogReader]:
    (logs / "r0.9.log").write_text("one\ntwo\nthree\n")
    with closing(LogReader(logs.parent, "r0", last=2)) as reader:
        yield reader


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_first_read_has_the_last_lines(reader: LogReader) -> None:
    assert reader.read() == ["two", "three"]
    assert reader.read() == []


def test_later_read_has_what_was_added_in_whole_lines(reader: LogReader, logs: Path) -> None:
    reader.read()
    append(logs / "r0.9.log", "four\nfi")
    assert reader.read() == ["four"]

    append(logs / "r0.9.log", "ve\n")
    assert reader.read() == ["five"]


def test_next_incarnation_follows_the_rest_of_the_last(reader: LogReader, logs: Path) -> None:
    reader.read()
    append(logs / "r0.9.log", "bye\n")
    (logs / "r0.10.log").write_text("hello\n")

    assert reader.read() == ["bye", "hello"]


def test_rotated_log_is_read_to_its_end_and_then_from_the_new_start(
    reader: LogReader, logs: Path
) -> None:
    reader.read()
    append(logs / "r0.9.log", "last\n")
    (logs / "r0.9.log").rename(logs / "r0.9.log.1")
    (logs / "r0.9.log").write_text("first\n")

    assert reader.read() == ["last", "first"]


def test_unit_without_a_log_has_no_lines_until_it_has_one(logs: Path) -> None:
    with closing(LogReader(logs.parent, "r1", last=5)) as reader:
        assert reader.read() == []

        (logs / "r1.1.log").write_text("hello\n")
        assert reader.read() == ["hello"]
