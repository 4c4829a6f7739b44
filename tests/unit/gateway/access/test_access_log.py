from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from replicore.errors import ConfigError
from replicore.gateway.access.access_log import AccessLog, Line
from replicore.gateway.record import Finished


class FakeTimers:
    """Stands in for the loop's ``call_later``: what is due runs when a test says so."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pending: list[tuple[asyncio.TimerHandle, Callable[[], None]]] = []
        self.delays: list[float] = []

    def __call__(self, delay: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(0.0, callback, (), self.loop)
        self.delays.append(delay)
        self.pending.append((handle, callback))
        return handle

    def run(self) -> None:
        due, self.pending = self.pending, []
        for handle, callback in due:
            if not handle.cancelled():
                callback()


@pytest.fixture(name="timers")
def _timers() -> Iterator[FakeTimers]:
    timers = FakeTimers()
    yield timers
    timers.loop.close()


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture(name="log")
def _log(path: Path, timers: FakeTimers) -> Iterator[AccessLog]:
    log = AccessLog.open(path, call_later=timers)
    yield log
    log.close()


def finished(request_id: str = "id", **other: Any) -> Finished:
    values: dict[str, Any] = {
        "request_id": request_id,
        "caller": "alice",
        "route": "/v1/chat/completions",
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "replica": "r0",
        "started_at": 1_700_000_000.25,
        "queue_s": 0.0012345678,
        "ttft_s": 0.1,
        "tpot_s": None,
        "duration_s": 1.5,
        "prompt_tokens": 12,
        "output_tokens": 64,
        "attempts": 1,
        "resumes": 0,
    }
    return Finished(**values | other)


def ids(path: Path) -> list[str]:
    return [msgspec.json.decode(line)["request_id"] for line in path.read_bytes().splitlines()]


def test_line_is_one_json_object_with_the_time_of_arrival(path: Path, log: AccessLog) -> None:
    log.write(finished())
    log.flush()

    # 1,700,000,000 s after 1970 it was 22:13:20 in Greenwich.
    assert msgspec.json.decode(path.read_bytes()) == {
        "time": "2023-11-14T22:13:20.250Z",
        "request_id": "id",
        "caller": "alice",
        "route": "/v1/chat/completions",
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "replica": "r0",
        "queue_s": 0.001235,
        "ttft_s": 0.1,
        "tpot_s": None,
        "duration_s": 1.5,
        "prompt_tokens": 12,
        "output_tokens": 64,
        "attempts": 1,
        "resumes": 0,
    }


def test_everything_that_is_known_of_a_request_is_told() -> None:
    told = set(Line.__struct_fields__) - {"time"}

    assert set(Finished.__struct_fields__) - {"started_at"} == told


def test_text_of_a_client_cannot_begin_a_line_of_its_own(path: Path, log: AccessLog) -> None:
    log.write(finished('x"}\n{"request_id":"forged'))
    log.flush()

    assert ids(path) == ['x"}\n{"request_id":"forged']


@pytest.mark.parametrize("second", [1_700_000_000.9999, 1_700_000_001.0, 1_699_999_999.0])
def test_time_is_rfc_3339_however_the_seconds_follow(
    path: Path, log: AccessLog, second: float
) -> None:
    log.write(finished(started_at=1_700_000_000.5))
    log.write(finished(started_at=second))
    log.flush()

    last = msgspec.json.decode(path.read_bytes().splitlines()[1])
    assert re.fullmatch(r"2023-11-14T22:13:(19|20|21)\.\d{3}Z", last["time"])
    assert last["time"][17:19] == f"{int(second) - 1_699_999_980:02d}"


def test_lines_wait_a_second_for_others(path: Path, log: AccessLog, timers: FakeTimers) -> None:
    log.write(finished("a"))
    log.write(finished("b"))
    assert ids(path) == []

    timers.run()

    assert ids(path) == ["a", "b"]
    assert timers.delays == [1.0]


def test_idle_log_has_no_timer(log: AccessLog, timers: FakeTimers) -> None:
    log.write(finished())
    timers.run()

    assert timers.pending == []


def test_many_lines_are_written_before_the_second_is_over(path: Path, log: AccessLog) -> None:
    for index in range(400):
        log.write(finished(str(index)))

    assert 100 < len(ids(path)) < 400


def test_closing_writes_what_waits_and_stops_the_timer(path: Path, timers: FakeTimers) -> None:
    log = AccessLog.open(path, call_later=timers)
    log.write(finished("a"))

    log.close()
    timers.run()

    assert ids(path) == ["a"]


def test_lines_are_appended_to_what_is_there(path: Path, timers: FakeTimers) -> None:
    for name in "ab":
        log = AccessLog.open(path, call_later=timers)
        log.write(finished(name))
        log.close()

    assert ids(path) == ["a", "b"]


def test_file_that_was_moved_away_is_begun_anew(path: Path, log: AccessLog) -> None:
    log.write(finished("a"))
    log.flush()
    moved = path.rename(path.with_suffix(".1"))

    log.write(finished("b"))
    log.flush()

    assert (ids(moved), ids(path)) == (["a"], ["b"])


def test_reopening_goes_on_in_the_file_that_has_the_name(path: Path, log: AccessLog) -> None:
    moved = path.rename(path.with_suffix(".1"))

    log.reopen()

    assert path.exists()
    assert moved.read_bytes() == b""


def test_file_that_cannot_be_begun_anew_is_written_on_and_told_once(
    path: Path, log: AccessLog, caplog: pytest.LogCaptureFixture
) -> None:
    moved = path.rename(path.with_suffix(".1"))
    path.mkdir()

    with caplog.at_level(logging.WARNING):
        for name in "ab":
            log.write(finished(name))
            log.flush()

    assert ids(moved) == ["a", "b"]
    assert log.lost == 0
    assert len(caplog.messages) == 1


def test_full_disk_loses_lines_counts_them_and_is_told_once(
    timers: FakeTimers, caplog: pytest.LogCaptureFixture
) -> None:
    log = AccessLog.open(Path("/dev/full"), call_later=timers)

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            log.write(finished())
            log.write(finished())
            log.flush()
    log.close()

    assert log.lost == 6
    assert caplog.messages == [
        "/dev/full: the access log cannot be written (No space left on device); "
        "requests are served all the same"
    ]


def test_line_that_was_cut_by_a_full_pipe_does_not_spoil_the_next(
    tmp_path: Path, timers: FakeTimers
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog.open(pipe, call_later=timers)
    # A pipe holds 64 KiB; two lines more than that wait.
    log.write(finished("x" * 60_000))
    log.write(finished("y" * 60_000))
    first = os.read(reader, 1 << 20)
    log.write(finished("z"))
    log.flush()

    lines = (first + os.read(reader, 1 << 20)).splitlines()
    log.close()
    os.close(reader)

    assert [msgspec.json.decode(line)["request_id"][0] for line in (lines[0], lines[2])] == [
        "x",
        "z",
    ]
    assert (len(lines), log.lost) == (3, 1)


def test_log_in_a_folder_that_is_not_there_is_a_sentence(
    tmp_path: Path, timers: FakeTimers
) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written \(No such file or directory\); give"):
        AccessLog.open(tmp_path / "none" / "access.log", call_later=timers)
