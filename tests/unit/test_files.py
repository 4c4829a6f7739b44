from __future__ import annotations

from pathlib import Path

import pytest

from replicore.files import CACHE_VARIABLE, cache_folder, write_atomically


def test_written_file_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, b"{}")
    write_atomically(path, b"[]")

    assert path.read_bytes() == b"[]"
    assert list(tmp_path.iterdir()) == [path]


def test_written_file_can_be_read_by_whom_any_new_file_can(tmp_path: Path) -> None:
    path, plain = tmp_path / "result.json", tmp_path / "plain"
    plain.touch()

    write_atomically(path, b"{}")

    assert path.stat().st_mode == plain.stat().st_mode


def test_file_that_cannot_be_replaced_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.mkdir()

    with pytest.raises(OSError, match="directory"):
        write_atomically(path, b"{}")

    assert list(tmp_path.iterdir()) == [path]


def test_cache_is_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))

    assert cache_folder() == tmp_path


def test_cache_is_in_the_users_own_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/caches")

    assert cache_folder() == Path("/home/me/caches/replicore")
