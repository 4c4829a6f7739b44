"""What a sweep writes down while it goes on, and what a later one makes of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from replicore.bench.sweep.entries import Begun, Failed
from replicore.bench.sweep.journal import NAME, opened
from replicore.errors import ConfigError, ReplicoreError
from tests.unit.bench.sweep.made import STARTED, run

FAILED = Failed(layout="4x1", repeat=0, message="r0 exited with code 1")


def begun(**conditions: str) -> Begun:
    return Begun(name="test", seed=7, started_at=STARTED, conditions={"tp": "any", **conditions})


def test_resumed_journal_has_every_run_and_the_first_seed(tmp_path: Path) -> None:
    with opened(tmp_path, begun(), resume=False) as journal:
        journal.append(run(repeat=0))
        journal.append(run(repeat=1))
    later = msgspec.structs.replace(begun(), seed=8)
    with opened(tmp_path, later, resume=True) as journal:
        kept = journal.kept

    assert list(kept.runs.values()) == [run(repeat=0), run(repeat=1)]
    assert kept.begun.seed == 7


def test_run_is_in_the_file_before_the_next_one_begins(tmp_path: Path) -> None:
    with opened(tmp_path, begun(), resume=False) as journal:
        journal.append(run())
        lines = (tmp_path / NAME).read_bytes().splitlines()

    assert [msgspec.json.decode(line)["entry"] for line in lines] == ["begun", "run"]


def test_line_cut_by_a_crash_is_dropped_and_written_over(tmp_path: Path) -> None:
    with opened(tmp_path, begun(), resume=False) as journal:
        journal.append(run(repeat=0))
        journal.append(run(repeat=1))
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-40])
    with opened(tmp_path, begun(), resume=True) as journal:
        assert [point.repeat for point in journal.kept.runs] == [0]
        journal.append(run(repeat=2))
    with opened(tmp_path, begun(), resume=True) as journal:
        assert [point.repeat for point in journal.kept.runs] == [0, 2]


def test_journal_cut_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"entry":"begun","schema"')
    with opened(tmp_path, begun(), resume=True) as journal:
        assert journal.kept.runs == {}
    assert (tmp_path / NAME).read_bytes().endswith(b"}\n")


def test_layout_that_failed_is_kept_until_it_is_measured(tmp_path: Path) -> None:
    with opened(tmp_path, begun(), resume=False) as journal:
        journal.append(FAILED)
    with opened(tmp_path, begun(), resume=True) as journal:
        assert journal.kept.failed == {"4x1": FAILED}
        journal.append(run("4x1"))
        assert journal.kept.failed == {}


def test_journal_without_a_run_begins_anew(tmp_path: Path) -> None:
    with opened(tmp_path, begun(model="a"), resume=False) as journal:
        journal.append(FAILED)
    with opened(tmp_path, begun(model="b"), resume=False) as journal:
        kept = journal.kept

    assert (kept.begun.conditions["model"], kept.failed) == ("b", {})


# SAD PATH


def test_journal_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    with opened(tmp_path, begun(), resume=False) as journal:
        journal.append(run())

    with (
        pytest.raises(ConfigError, match="has a sweep of 1 run already") as caught,
        opened(tmp_path, begun(), resume=False),
    ):
        pass
    assert caught.value.hint == "--resume goes on with it; -o names another folder"


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"model": "b"}, "measured with model = a, now it is b"),
        ({}, "measured with model = a, now it is unset"),
        ({"model": "a", "slots": "4"}, "measured with slots = unset, now it is 4"),
    ],
)
def test_runs_under_other_conditions_are_not_mixed(
    tmp_path: Path, now: dict[str, str], words: str
) -> None:
    with opened(tmp_path, begun(model="a"), resume=False) as journal:
        journal.append(run())

    with (
        pytest.raises(ConfigError, match=words),
        opened(tmp_path, begun(**now), resume=True),
    ):
        pass


def test_two_sweeps_cannot_write_one_journal(tmp_path: Path) -> None:
    with (
        opened(tmp_path, begun(), resume=False),
        pytest.raises(ReplicoreError, match="is being written by another process"),
        opened(tmp_path, begun(), resume=True),
    ):
        pass


@pytest.mark.parametrize("second", [b"nonsense\n", b'{"entry":"other"}\n', b"{}\n"])
def test_line_that_is_no_entry_is_an_error_with_its_number(tmp_path: Path, second: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes(msgspec.json.encode(begun()) + b"\n" + second)

    with (
        pytest.raises(ReplicoreError, match="line 2 is no entry of a sweep"),
        opened(tmp_path, begun(), resume=True),
    ):
        pass


def test_journal_of_another_schema_is_refused(tmp_path: Path) -> None:
    other = msgspec.structs.replace(begun(), schema="replicore-sweep-journal/9")
    (tmp_path / NAME).write_bytes(msgspec.json.encode(other) + b"\n")

    with (
        pytest.raises(ReplicoreError, match="line 1 does not begin a sweep of the schema"),
        opened(tmp_path, begun(), resume=True),
    ):
        pass


def test_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")

    with (
        pytest.raises(ReplicoreError, match="cannot be used"),
        opened(tmp_path / "taken", begun(), resume=False),
    ):
        pass
