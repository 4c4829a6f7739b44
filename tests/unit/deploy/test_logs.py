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


def test_incarnation_that_printed_nothing_adds_no_line(logs: Path) -> None:
    (logs / "r0.1.log").write_text("one\n")
    (logs / "r0.2.log").touch()
    (logs / "r0.3.log").write_text("three\n")

    with closing(LogReader(logs.parent, "r0", last=9)) as reader:
        assert reader.read() == ["one", "three"]


def test_unit_without_a_log_has_no_lines_until_it_has_one(logs: Path) -> None:
    with closing(LogReader(logs.parent, "r1", last=5)) as reader:
        assert reader.read() == []

        (logs / "r1.1.log").write_text("hello\n")
        assert reader.read() == ["hello"]


def read_once(logs: Path, *, last: int) -> list[str]:
    with closing(LogReader(logs.parent, "r0", last=last)) as reader:
        return reader.finish()


def test_lines_that_a_new_incarnation_lacks_come_from_the_ones_before_it(logs: Path) -> None:
    (logs / "r0.1.log").write_text("oldest\n")
    (logs / "r0.2.log.1").write_text("warning\nrotated\n")
    (logs / "r0.2.log").write_text("Traceback\nRuntimeError\n")
    (logs / "r0.3.log").write_text("hello\n")

    assert read_once(logs, last=4) == ["rotated", "Traceback", "RuntimeError", "hello"]


@pytest.mark.parametrize(("last", "expected"), [(0, []), (1, ["no end"]), (3, ["two", "no end"])])
def test_last_line_without_an_end_is_a_line(logs: Path, last: int, expected: list[str]) -> None:
    (logs / "r0.1.log").write_text("two\nno end")

    assert read_once(logs, last=last) == expected


def test_line_without_an_end_is_read_when_the_next_incarnation_begins(
    reader: LogReader, logs: Path
) -> None:
    reader.read()
    append(logs / "r0.9.log", "no end")
    assert reader.read() == []

    (logs / "r0.10.log").write_text("hello\n")
    assert reader.read() == ["no end", "hello"]


def test_moment_of_a_rotation_does_not_lead_back_to_an_older_log(
    reader: LogReader, logs: Path
) -> None:
    (logs / "r0.8.log").write_text("old\n")
    reader.read()
    (logs / "r0.9.log").rename(logs / "r0.9.log.1")

    assert reader.read() == []
