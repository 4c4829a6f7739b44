"""Known errors in what engines and compiles printed lately."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from replicore.deploy.log_tail import log_tail
from replicore.deploy.provision import store_of
from replicore.deploy.state import log_files, read_record
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import ok, warning
from replicore.engines.known_errors import KnownError, Sighting, find_all
from replicore.findings import Finding
from replicore.units import HOUR, MINUTE
from replicore.wording import quoted

# Older logs tell of a machine that has changed since.
_OLDEST_S = 7 * 24 * HOUR

# The last start of a unit, and the one before it: what a restart was for.
_STARTS = 2


@dataclass(frozen=True, slots=True)
class _Seen:
    """A known error in one log.

    Attributes:
        who: Whose log it is, as ``r0 of llama``.
        at: When the log was last written, in seconds since the epoch.
    """

    sighting: Sighting
    who: str
    at: float


def check_logs(
    place: Place, case: Case, *, clock: Callable[[], float] = time.time
) -> Iterator[Finding]:
    """Tell each known error of the last week once, with its cause and its cure."""
    now = clock()
    logs = [(path, who) for path, who in _logs(place, case) if _is_recent(path, now)]
    seen = sorted(chain.from_iterable(_search(*log) for log in logs), key=lambda one: -one.at)
    by_error: dict[KnownError, list[_Seen]] = {}
    for one in seen:
        by_error.setdefault(one.sighting.error, []).append(one)
    for error, places in by_error.items():
        yield _finding(error, places, now)
    if logs and not by_error:
        yield ok("logs", f"no known error in the logs of the last week ({len(logs)} files)")


def _finding(error: KnownError, places: list[_Seen], now: float) -> Finding:
    newest = places[0]
    others = len({one.who for one in places}) - 1
    more = f" and {others} more" if others else ""
    return warning(
        f"log: {error.name}",
        f"{newest.who}{more}, {_ago(now - newest.at)} ago: {quoted(newest.sighting.line)}: "
        f"{error.cause}",
        error.cure,
    )


def _logs(place: Place, case: Case) -> Iterator[tuple[Path, str]]:
    """Yield the logs to look at, and whose each is: those of the spec's deployment, or of all."""
    for folder in sorted(path.parent for path in place.state.glob("*/state.json")):
        record = read_record(folder)
        if record is None or (case.given and folder.name != case.spec.name):
            continue
        for unit in record.units:
            for path in log_files(folder, unit.name)[-_STARTS:]:
                yield path, f"{unit.name} of {folder.name}"
    for path in sorted(store_of(case.spec).logs.glob("*.log")):
        yield path, f"the compile of {path.name.partition('.')[0]}"


def _is_recent(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime < _OLDEST_S
    except FileNotFoundError:  # rotated, or pruned
        return False


def _search(path: Path, who: str) -> Iterator[_Seen]:
    at = path.stat().st_mtime
    return (_Seen(sighting, who, at) for sighting in find_all(log_tail(path)))


def _ago(seconds: float) -> str:
    if seconds < HOUR:
        return f"{max(1, round(seconds / MINUTE))} min"
    if seconds < 48 * HOUR:
        return f"{seconds / HOUR:.0f} h"
    return f"{seconds / (24 * HOUR):.0f} days"
