from __future__ import annotations

from pathlib import Path

import pytest

from replicore.cli import run
from replicore.gateway.access.keys import KeyRing


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


def test_added_key_is_the_only_thing_on_stdout_and_opens_the_door(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["keys", "add", str(path), "alice", "--max-in-flight", "8"]) == 0

    printed = capsys.readouterr()
    caller = KeyRing.read(path).check(f"Bearer {printed.out.strip()}".encode())
    assert caller is not None
    assert (caller.name, caller.max_in_flight, caller.tokens_per_minute) == ("alice", 8, None)
    assert printed.out.strip() not in printed.err + path.read_text()


def test_list_prints_what_each_may_do_and_no_hash(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["keys", "add", str(path), "alice", "--priority", "high"])
    run(["keys", "add", str(path), "bob", "--tokens-per-minute", "100", "--max-in-flight", "2"])
    capsys.readouterr()

    assert run(["keys", "list", str(path)]) == 0
    assert capsys.readouterr().out == (
        "alice priority=high\nbob priority=normal max_in_flight=2 tokens_per_minute=100\n"
    )


def test_removed_key_is_not_listed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["keys", "add", str(path), "alice"])
    assert run(["keys", "remove", str(path), "alice"]) == 0
    capsys.readouterr()

    run(["keys", "list", str(path)])

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["list", "none"], 2, "error: none: cannot be read (No such file or directory)"),
        (["remove", "keys.txt", "bob"], 2, "error: keys.txt: cannot be read"),
        (["add", "keys.txt", "a b"], 2, 'error: NAME: "a b" is no name'),
        (["add", "keys.txt", "a", "--max-in-flight", "0"], 2, "error: invalid value for '--max-in"),
        (["add", "keys.txt", "a", "--priority", "top"], 2, "error: invalid value for '--priority'"),
        ([], 2, "error: missing command"),
    ],
)
def test_wrong_use_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(["keys", *arguments]) == code
    assert capsys.readouterr().err.startswith(message)
