"""How a deployment looks on a terminal: a table, and one line for each change."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from replicore.deploy.status import Status, UnitStatus

_COLOURS = {
    "ready": "green",
    "starting": "yellow",
    "draining": "yellow",
    "condemned": "red",
    "backoff": "yellow",
    "crash_loop": "red",
    "failed": "red",
}

_DOWN = frozenset({"backoff", "crash_loop", "failed"})


def describe(unit: UnitStatus) -> str | None:
    """Return the line for a change; None for one that is only a step to the next."""
    match unit.state:
        case "starting" if unit.pid is not None:
            cores = f" on cores {unit.cores}" if unit.cores else ""
            return f"{unit.name} starting{cores} (pid {unit.pid})"
        case "backoff" if unit.retry_s is not None:
            return f"{unit.problem}\n{unit.name} starts again in {unit.retry_s:.1f} s"
        case "crash_loop":
            return (
                f"{unit.problem}\n{unit.name} failed {unit.failures} times and stays stopped; "
                f"`replicore restart {unit.name}` tries again"
            )
        case "failed":
            return f"{unit.problem}\n{unit.name} stays stopped"
        case "ready" | "draining" | "stopped":
            return f"{unit.name} {unit.state}"
    return None


def units_table(units: Iterable[UnitStatus]) -> Table:
    """Return the table of replicas and gateway."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "state", "cores", "pid", "start", "endpoint"):
        table.add_column(heading, no_wrap=True)
    table.add_column("note", overflow="fold")
    for unit in units:
        table.add_row(
            unit.name,
            Text(f"{_state(unit)} {_ago(unit.state_s)}", style=_COLOURS.get(unit.state, "")),
            unit.cores or "-",
            str(unit.pid or "-"),
            str(unit.incarnation),
            unit.endpoint,
            _note(unit),
        )
    return table


def headline(status: Status) -> str:
    """Return what is served, where, and since when."""
    simulated = ", simulated" if status.simulated else ""
    state = "ready" if status.ready else "not ready"
    return (
        f"{status.name}: {status.model} ({status.engine}{simulated}), {state}, "
        f"{status.url}/v1, up {_ago(status.uptime_s)}, pid {status.pid}"
    )


def troubles(units: Iterable[UnitStatus]) -> list[str]:
    """Return how each unit that does not serve ended, with what it printed last."""
    return [unit.problem for unit in units if unit.problem and unit.state in _DOWN]


def counters(status: Status) -> str | None:
    """Return the gateway's counters in words."""
    stats = status.stats
    if stats is None:
        return None
    return (
        f"requests: {stats.requests}, errors: {stats.errors}, "
        f"outstanding: {stats.outstanding}, queued: {stats.queued}"
    )


def admin_line(status: Status) -> str:
    """Return where metrics and the admin endpoints are."""
    port = f"{status.admin_url} and " if status.admin_url else ""
    return f"/metrics and /admin: {port}the Unix socket {status.admin_socket}"


def _state(unit: UnitStatus) -> str:
    return f"{unit.state}, drained" if unit.drained else unit.state


def _note(unit: UnitStatus) -> str:
    if unit.retry_s is not None:
        return f"starts again in {max(unit.retry_s - unit.state_s, 0):.0f} s"
    if unit.state == "ready" and unit.health not in (None, "ok"):
        return f"/health: {unit.health}"
    end = (unit.problem or "").partition("\n")[0].removesuffix("; its last lines:")
    return f"before that: {end}" if end and unit.state == "ready" else end


def _ago(seconds: float) -> str:
    """Return a time span to its two largest units: ``42s``, ``3m12s``, ``5h02m``, ``2d03h``."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d{h:02}h"
    if hours:
        return f"{h}h{m:02}m"
    return f"{m}m{s:02}s" if minutes else f"{s}s"
