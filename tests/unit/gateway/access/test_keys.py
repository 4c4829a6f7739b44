from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.gateway.access.key_file import Caller, add_caller, digest_of, remove_caller
from replicore.gateway.access.keys import ANONYMOUS, KeyRing
from replicore.gateway.admission import NORMAL

ALICE, BOB = b"rc-alice", b"rc-bob"


def add(path: Path, name: str, key: bytes) -> None:
    add_caller(path, Caller(name=name, digest=digest_of(key)))


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    add(path, "alice", ALICE)
    return path


@pytest.fixture(name="ring")
def _ring(path: Path) -> KeyRing:
    return KeyRing.read(path)


def name_of(ring: KeyRing, authorization: bytes | None) -> str | None:
    caller = ring.check(authorization)
    return caller.name if caller else None


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER ", b"Bearer   "])
def test_key_is_known_whatever_the_case_of_its_scheme(ring: KeyRing, scheme: bytes) -> None:
    assert name_of(ring, scheme + ALICE) == "alice"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer rc-alic",
        b"Bearer rc-alicee",
        b"Bearer RC-ALICE",
        b"Bearer rc-alice rc-alice",
        b"Basic " + ALICE,
        b"Bearerrc-alice",
        ALICE,
        b"Bearer " + digest_of(ALICE).hex().encode(),
        b"Bearer \xff\x00",
    ],
)
def test_anything_else_is_nobody(ring: KeyRing, authorization: bytes | None) -> None:
    assert ring.check(authorization) is None


def test_unchanged_file_is_not_read_again(ring: KeyRing) -> None:
    before = ring.check(b"Bearer " + ALICE)

    assert not ring.reload()
    assert ring.check(b"Bearer " + ALICE) is before


def test_removed_key_is_invalid_from_the_next_request_on(path: Path, ring: KeyRing) -> None:
    add(path, "bob", BOB)
    assert ring.reload()
    assert name_of(ring, b"Bearer " + BOB) == "bob"

    remove_caller(path, "bob")

    assert ring.reload()
    assert ring.check(b"Bearer " + BOB) is None
    assert name_of(ring, b"Bearer " + ALICE) == "alice"


def test_file_without_a_key_lets_nobody_in(path: Path, ring: KeyRing) -> None:
    remove_caller(path, "alice")

    assert ring.reload()
    assert len(ring) == 0
    assert ring.check(b"Bearer " + ALICE) is None


def test_new_limit_of_a_key_holds_from_the_next_request_on(path: Path, ring: KeyRing) -> None:
    path.write_text(path.read_text().rstrip() + " max_in_flight=3\n")

    assert ring.reload()
    caller = ring.check(b"Bearer " + ALICE)
    assert caller is not None
    assert caller.max_in_flight == 3


def test_changed_comment_is_no_other_keys(path: Path, ring: KeyRing) -> None:
    path.write_text(f"# ours\n{path.read_text()}")

    assert not ring.reload()
    assert name_of(ring, b"Bearer " + ALICE) == "alice"


@pytest.mark.parametrize("break_it", [lambda path: path.write_text("oops\n"), os.unlink])
def test_broken_file_keeps_the_old_keys_and_is_logged_once(
    path: Path, ring: KeyRing, caplog: pytest.LogCaptureFixture, break_it: object
) -> None:
    assert callable(break_it)
    break_it(path)

    with caplog.at_level(logging.WARNING):
        assert [ring.reload(), ring.reload()] == [False, False]

    assert name_of(ring, b"Bearer " + ALICE) == "alice"
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("; the keys read before stay valid")


def test_mended_file_is_read_again(path: Path, ring: KeyRing) -> None:
    path.write_text("oops\n")
    ring.reload()
    path.unlink()
    add(path, "bob", BOB)

    assert ring.reload()
    assert name_of(ring, b"Bearer " + BOB) == "bob"


def test_broken_file_is_refused_at_the_start(path: Path) -> None:
    path.write_text("oops\n")

    with pytest.raises(ConfigError, match=r"keys\.txt:1: "):
        KeyRing.read(path)


def test_anonymous_has_the_normal_class_and_no_limits() -> None:
    assert Caller(name="", priority=NORMAL, max_in_flight=None, tokens_per_minute=None) == ANONYMOUS
