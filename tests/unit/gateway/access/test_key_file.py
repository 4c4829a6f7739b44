from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.gateway.access.key_file import (
    Caller,
    add_caller,
    digest_of,
    new_key,
    parse_callers,
    read_callers,
    remove_caller,
)
from replicore.gateway.admission import HIGH, LOW, NORMAL

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PLAIN = "rc-" + "x" * 43


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


def test_line_tells_name_hash_class_and_limits(path: Path) -> None:
    text = (
        f"# ours\n\nalice {A} priority=high  # boss\nbob\t{B} max_in_flight=8 tokens_per_minute=9\n"
    )

    alice, bob = parse_callers(text, path)

    assert alice == Caller(name="alice", digest=bytes([0xAA] * 32), priority=HIGH)
    assert bob == Caller(
        name="bob", digest=bytes([0xBB] * 32), max_in_flight=8, tokens_per_minute=9
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alice", '"alice" must be followed by its hashed key, `sha256:` and 64 hexadecimal'),
        ("alice sha256:12", '"alice" must be followed by its hashed key'),
        ("alice secret", '"alice" must be followed by its hashed key'),
        (f"alice {PLAIN}", "this is a plain key; the file holds only hashes"),
        (PLAIN, "this is a plain key; the file holds only hashes"),
        (f"al/ice {A}", '"al/ice" is no name; one has at most 64 letters, digits and ._@-'),
        (f"{'a' * 65} {A}", "is no name"),
        (f"alice {A} prio=high", 'unknown attribute "prio=high" (valid: priority, max_in_flight'),
        (f"alice {A} priority=urgent", 'priority: unknown priority "urgent" (valid: "high", "nor'),
        (f"alice {A} priority", 'priority: unknown priority ""'),
        (f"alice {A} max_in_flight=0", 'max_in_flight: "0" is no whole number of 1 or more'),
        (f"alice {A} max_in_flight=1.5", 'max_in_flight: "1.5" is no whole number'),
        (f"alice {A} tokens_per_minute=-1", 'tokens_per_minute: "-1" is no whole number'),
        (f"alice {A} tokens_per_minute=9007199254740993", "is no whole number"),
        (f"alice {A} priority=low priority=low", "priority is given twice"),
        (f"bob {A}", 'the name "bob" stands in line 1 already'),
        (f"carol {B}", '"carol" has the key of "bob"'),
    ],
)
def test_wrong_line_is_named_with_its_rule(path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        parse_callers(f"bob {B}\n{line}\n", path)

    assert caught.value.message.startswith(f"{path}:2: ")


@pytest.mark.parametrize("line", [f"alice {PLAIN}", PLAIN, f"{PLAIN} {A}", "alice hunter2"])
def test_error_never_repeats_a_secret(path: Path, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_callers(line, path)

    assert PLAIN not in caught.value.message
    assert "hunter2" not in caught.value.message
    assert "`replicore keys add FILE NAME`" in str(caught.value.hint)


def test_misspelt_attribute_is_suggested(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_callers(f"alice {A} token_per_minute=5", path)

    assert caught.value.hint == 'did you mean "tokens_per_minute"?'


def test_new_key_is_url_safe_and_has_256_bits() -> None:
    keys = {new_key() for _ in range(10)}

    assert len(keys) == 10
    assert all(re.fullmatch(r"rc-[A-Za-z0-9_-]{43}", key) for key in keys)
    assert digest_of(b"key") == hashlib.sha256(b"key").digest()


def test_added_caller_is_read_back_whole(path: Path) -> None:
    callers = [
        Caller(name="a", digest=b"a" * 32),
        Caller(name="b", digest=b"b" * 32, priority=LOW, max_in_flight=1, tokens_per_minute=2),
    ]
    for caller in callers:
        add_caller(path, caller)

    assert read_callers(path) == callers


def test_new_file_is_its_owners_alone_and_nothing_is_left_beside_it(path: Path) -> None:
    add_caller(path, Caller(name="a", digest=b"a" * 32))

    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_edited_file_keeps_its_mode_and_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    path.touch()
    path.chmod(0o640)

    add_caller(link, Caller(name="a", digest=b"a" * 32))

    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [caller.name for caller in read_callers(path)] == ["a"]


def test_added_line_does_not_glue_to_a_last_line_without_end(path: Path) -> None:
    path.write_text(f"bob {B}")

    add_caller(path, Caller(name="a", digest=b"a" * 32))

    assert [caller.name for caller in read_callers(path)] == ["bob", "a"]


def test_removed_line_leaves_comments_and_other_lines_as_they_are(path: Path) -> None:
    path.write_text(f"# bob is gone\nalice   {A}  # boss\n  bob {B}\n")

    remove_caller(path, "bob")

    assert path.read_text() == f"# bob is gone\nalice   {A}  # boss\n"


def test_taken_name_is_refused_and_the_file_stays(path: Path) -> None:
    path.write_text(f"bob {B}\n")

    with pytest.raises(ConfigError, match='there is a key "bob" already; give another name'):
        add_caller(path, Caller(name="bob", digest=b"x" * 32))

    assert path.read_text() == f"bob {B}\n"


def test_unknown_name_cannot_be_removed_and_a_near_one_is_suggested(path: Path) -> None:
    path.write_text(f"bob {B}\n")

    with pytest.raises(ConfigError, match='there is no key "bobb"; these are: "bob"') as caught:
        remove_caller(path, "bobb")

    assert caught.value.hint == 'did you mean "bob"?'


def test_broken_file_is_not_edited(path: Path) -> None:
    path.write_text("bob\n")

    with pytest.raises(ConfigError, match=r"keys\.txt:1: "):
        add_caller(path, Caller(name="a", digest=b"a" * 32))

    assert path.read_text() == "bob\n"


@pytest.mark.parametrize("name", ["", "a b", "#a", PLAIN])
def test_name_that_could_not_be_read_back_is_not_written(path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"^NAME: "):
        add_caller(path, Caller(name=name, digest=b"a" * 32))

    assert not path.exists()


def test_file_that_cannot_be_used_is_a_sentence(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"\xff")

    with pytest.raises(ConfigError, match=r"byte 0 is no UTF-8; this is no key file"):
        read_callers(path)
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file or directory\)"):
        read_callers(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"cannot be written \(No such file or directory\)"):
        add_caller(tmp_path / "none" / "keys.txt", Caller(name="a", digest=b"a" * 32))


def test_writers_at_the_same_time_lose_nobodys_key(path: Path) -> None:
    callers = [Caller(name=f"k{index}", digest=bytes([index] * 32)) for index in range(8)]

    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda caller: add_caller(path, caller), callers))

    assert sorted(read_callers(path), key=lambda caller: caller.name) == callers


def test_editing_leaves_no_open_file(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    add_caller(path, Caller(name="a", digest=b"a" * 32))
    remove_caller(path, "a")

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("own", "header", "result"),
    [
        (HIGH, None, HIGH),
        (HIGH, b"normal", NORMAL),
        (HIGH, b"LOW", LOW),
        (NORMAL, b"high", NORMAL),
        (NORMAL, b"low", LOW),
        (LOW, b"high", LOW),
        (NORMAL, b"urgent", NORMAL),
        (NORMAL, b"", NORMAL),
    ],
)
def test_request_may_ask_only_for_a_lower_class(
    own: int, header: bytes | None, result: int
) -> None:
    assert Caller(name="a", priority=own).class_of(header) == result
