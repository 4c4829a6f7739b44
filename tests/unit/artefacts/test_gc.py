from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path

import pytest

from replicore.artefacts.building import building
from replicore.artefacts.digest import digest
from replicore.artefacts.gc import Verdict, collect
from replicore.artefacts.lock import Lock, try_lock
from replicore.artefacts.manifest import MANIFEST
from replicore.artefacts.store import State, Store
from tests.unit.artefacts.recipes import make, recipe

NAME = digest(recipe().fields)
DAY_S = 86_400.0


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    make(store, recipe())
    return store


def after(store: Store, days: float, *, dry_run: bool = False) -> Verdict:
    """Collect what is unused for a week, so many days from now."""
    now = time.time() + days * DAY_S
    (verdict,) = collect(store, unused_s=7 * DAY_S, now=now, dry_run=dry_run)
    return verdict


def use(store: Store) -> None:
    lock = try_lock(store.lock(NAME), exclusive=False)
    assert lock is not None
    with lock:
        lock.touch()


def test_artefact_that_was_used_lately_is_kept(store: Store) -> None:
    use(store)

    assert not after(store, 6.9).removed
    assert store.entry(NAME).state is State.COMPLETE


def test_artefact_that_nobody_used_is_removed_with_its_lock(store: Store) -> None:
    use(store)
    verdict = after(store, 7.1)

    assert (verdict.removed, verdict.reason) == (True, "used 7.1 days ago")
    assert verdict.size > 1000
    assert store.entry(NAME).state is State.ABSENT
    assert not store.lock(NAME).exists()


def test_new_artefact_that_was_never_used_is_not_old(store: Store) -> None:
    assert not after(store, 0).removed


def test_artefact_in_use_is_kept_however_old_and_its_user_is_named(store: Store) -> None:
    lock = try_lock(store.lock(NAME), exclusive=False)
    assert lock is not None
    with lock:
        verdict = after(store, 1000)

    assert not verdict.removed
    assert verdict.reason.startswith(f"in use by pid {os.getpid()} (")
    assert store.entry(NAME).state is State.COMPLETE


def test_dry_run_removes_nothing(store: Store) -> None:
    assert after(store, 1000, dry_run=True).removed
    assert store.entry(NAME).state is State.COMPLETE


def test_damaged_artefact_is_removed_at_once(store: Store) -> None:
    os.truncate(store.path(NAME) / "model.pt", 1)

    assert after(store, 0).removed


def test_artefact_of_a_later_program_is_left_alone(store: Store) -> None:
    (store.path(NAME) / MANIFEST).write_text('{"format": 2}')
    verdict = after(store, 1000)

    assert not verdict.removed
    assert "a later replicore wrote" in verdict.reason


def test_cache_that_is_still_filled_is_kept_until_it_is_old(store: Store) -> None:
    (store.path(NAME) / MANIFEST).unlink()

    assert not after(store, 1).removed
    assert after(store, 1000).removed


def test_what_an_aborted_compile_left_is_removed_and_a_whole_artefact_beside_it_kept(
    store: Store,
) -> None:
    other = "0" * 20
    for name in (NAME, other):
        (store.building(name) / "artefact").mkdir(parents=True)
    verdicts = collect(store, unused_s=DAY_S, now=time.time())

    assert [(one.digest, one.removed) for one in verdicts] == [(other, True), (NAME, False)]
    assert store.leftovers() == []


def test_compile_in_progress_is_left_alone(store: Store) -> None:
    other = "0" * 20
    lock = try_lock(store.lock(other), exclusive=True)
    assert lock is not None
    with lock, building(store, other) as made:
        collect(store, unused_s=0, now=time.time() + 1)

        assert made.artefact.exists()


def test_size_of_what_an_aborted_compile_left_is_told(store: Store) -> None:
    other = store.building("0" * 20)
    other.mkdir(parents=True)
    (other / "half of model.pt").write_bytes(b"0" * 5000)
    first, _ = collect(store, unused_s=DAY_S, now=time.time())

    assert (first.reason, first.size) == ("left of an aborted compile", 5000)


def test_artefact_that_became_whole_just_before_it_was_locked_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(store.path(NAME) / "model.pt", 1)

    def make_and_lock(path: Path, *, exclusive: bool) -> Lock | None:
        make(store, recipe())
        return try_lock(path, exclusive=exclusive)

    monkeypatch.setattr("replicore.artefacts.gc.try_lock", make_and_lock)

    assert not after(store, 0).removed
    assert store.entry(NAME).state is State.COMPLETE


def test_age_that_is_no_number_removes_nothing(store: Store) -> None:
    now = time.time() + 1000 * DAY_S

    assert [one.removed for one in collect(store, unused_s=math.nan, now=now)] == [False]


def test_artefact_whose_manifest_has_no_time_is_left_alone(store: Store) -> None:
    path = store.path(NAME) / MANIFEST
    path.write_text(re.sub(r'"made_at": "[^"]*"', '"made_at": "today"', path.read_text()))
    verdict = after(store, 1000)

    assert (verdict.removed, "is no manifest" in verdict.reason) == (False, True)
