from __future__ import annotations

from pathlib import Path

from replicore.deploy.log_tail import TAIL_BYTES, log_tail


def test_a_short_log_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "r0.1.log"
    log.write_text("one\ntwo\n")

    assert log_tail(log) == "one\ntwo\n"


def test_of_a_long_log_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "r0.1.log"
    log.write_text("first\n" + "x" * TAIL_BYTES + "last\n")
    found = log_tail(log)

    assert len(found) == TAIL_BYTES
    assert found.endswith("xlast\n")


def test_a_log_that_has_just_been_rotated_goes_on_from_its_older_part(tmp_path: Path) -> None:
    log = tmp_path / "r0.1.log"
    log.write_text("new\n")
    (tmp_path / "r0.1.log.1").write_text("lost\n" + "x" * (TAIL_BYTES - 8) + "old\n")
    found = log_tail(log)

    assert len(found) == TAIL_BYTES
    assert found.endswith("xold\nnew\n")


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    log = tmp_path / "r0.1.log"
    log.write_bytes(b"caf\xe9\n")

    assert log_tail(log) == "caf�\n"
