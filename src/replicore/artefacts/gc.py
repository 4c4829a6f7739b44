"""Removing artefacts that nobody uses any more, and what aborted compiles have left."""

from __future__ import annotations

from dataclasses import dataclass, replace

from replicore.artefacts.building import remove, sweep
from replicore.artefacts.files import size_of
from replicore.artefacts.lock import describe_holders, try_lock
from replicore.artefacts.store import Entry, State, Store

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of an artefact.

    Attributes:
        removed: Whether it is gone, or would be.
        reason: Why, or why not.
        size: Bytes of its files.
    """

    digest: str
    removed: bool
    reason: str
    size: int = 0


def collect(store: Store, *, unused_s: float, now: float, dry_run: bool = False) -> list[Verdict]:
    """Remove what is useless, and what no deployment has used for ``unused_s`` seconds.

    Nothing is removed that a deployment uses, or a compile works on, at this moment.

    Args:
        now: Seconds since the epoch.
        dry_run: Only say what would be removed.

    Raises:
        ArtefactError: The artefacts' folder cannot be used.
    """
    names = sorted({*store.leftovers(), *(entry.digest for entry in store.entries())})
    return [_judge(store, name, unused_s, now, dry_run=dry_run) for name in names]


def _judge(store: Store, name: str, unused_s: float, now: float, *, dry_run: bool) -> Verdict:
    used_at = store.entry(name).used_at  # before the lock: taking it makes its file
    lock = try_lock(store.lock(name), exclusive=True)
    if lock is None:
        holders = describe_holders(store.lock(name))
        return Verdict(digest=name, removed=False, reason=f"in use by {holders}")
    with lock:
        # Only now: a compile may have made it whole meanwhile.
        entry = replace(store.entry(name), used_at=used_at)
        reason = _why_remove(entry, unused_s, now)
        size = size_of(entry.path) + size_of(store.building(name))
        if not dry_run:
            sweep(store, name)
        if reason is None:
            return Verdict(digest=name, removed=False, reason=entry.problem or _used(entry, now))
        if not dry_run:
            remove(store, name)
            store.lock(name).unlink(missing_ok=True)
    return Verdict(digest=name, removed=True, reason=reason, size=size)


def _why_remove(entry: Entry, unused_s: float, now: float) -> str | None:
    if entry.state is State.ABSENT:
        return "left of an aborted compile"
    if entry.state is State.DAMAGED:
        return entry.problem
    # What is unreadable may be a later replicore's: not ours to judge.
    is_old = entry.state is not State.UNREADABLE and now - _last_use(entry) > unused_s
    return _used(entry, now) if is_old else None


def _last_use(entry: Entry) -> float:
    """Return when it was used last, or made; the folder's time where neither is known."""
    made = entry.manifest.made_at.timestamp() if entry.manifest else 0.0
    used = entry.used_at if entry.used_at is not None else entry.path.stat().st_mtime
    return max(made, used)


def _used(entry: Entry, now: float) -> str:
    return f"used {max(now - _last_use(entry), 0.0) / _DAY_S:.1f} days ago"
