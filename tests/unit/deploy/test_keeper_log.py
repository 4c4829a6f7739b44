from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from replicore.deploy.keeper import LAST_LINES, Log

OpenLog = Callable[[int], Log]


@contextmanager
def no_file_can_be_opened() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "r0.1.log"


@pytest.fixture(name="open_log")
def _open_log(path: Path) -> Iterator[OpenLog]:
    with ExitStack() as opened:
        yield lambda limit: opened.enter_context(closing(Log(str(path), limit)))


def test_log_file_holds_what_was_written(path: Path, open_log: OpenLog) -> None:
    log = open_log(1000)
    log.write(b"one\ntw")
    log.write(b"o\n")

    assert path.read_bytes() == b"one\ntwo\n"


def test_full_log_is_rotated_once(path: Path, open_log: OpenLog) -> None:
    log = open_log(8)
    for line in (b"first\n", b"second\n", b"third\n"):
        log.write(line)

    assert path.read_bytes() == b"third\n"
    assert path.with_name("r0.1.log.1").read_bytes() == b"second\n"


def test_last_lines_survive_a_rotation(open_log: OpenLog) -> None:
    log = open_log(8)
    for line in (b"first\n", b"second\n", b"third\n"):
        log.write(line)

    assert log.last_lines() == ["first", "second", "third"]


def test_only_the_last_lines_are_kept(open_log: OpenLog) -> None:
    log = open_log(10_000)
    log.write(b"".join(b"%d\n" % number for number in range(100)))

    assert log.last_lines() == [str(number) for number in range(100 - LAST_LINES, 100)]


def test_line_without_an_end_is_kept_but_bounded(open_log: OpenLog) -> None:
    log = open_log(10**7)
    for _ in range(100):
        log.write(b"x" * 1000)

    assert log.last_lines() == ["x" * 2000]


def test_bytes_that_are_no_text_do_not_matter(open_log: OpenLog) -> None:
    log = open_log(1000)
    log.write(b"\xff\xfe\r\n\n")

    assert log.last_lines() == ["��"]


def test_log_that_cannot_be_written_keeps_the_last_lines(path: Path, open_log: OpenLog) -> None:
    log = open_log(4)
    path.parent.rename(path.parent.with_name("gone"))  # the rotation will fail

    log.write(b"first\n")

    assert log.last_lines() == ["first"]


def test_logging_goes_on_after_a_rotation_that_failed_half_way(
    path: Path, open_log: OpenLog
) -> None:
    log = open_log(8)
    log.write(b"first\n")
    with no_file_can_be_opened():
        log.write(b"second\n")
    log.write(b"third\n")

    assert path.read_bytes() == b"third\n"
    assert path.with_name("r0.1.log.1").read_bytes() == b"first\n"
