"""``replicore bench selftest``: what this client adds to what it measures, on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from replicore.bench.selfcheck.against_mock import Errors
from replicore.bench.selfcheck.selftest import (
    PLAN,
    PaceRow,
    StreamsRow,
    TurnsRow,
    measure_pace,
    measure_streams,
    measure_turns,
)
from replicore.cli.console import print_line, report_console
from replicore.errors import ConfigError
from replicore.wording import quoted

_DEFAULT_STREAMS = "1,100,500,1000"
_COLUMNS = (
    *("streams", "chunks/s", "TTFT p50\nread", "p99\nread", "gap p99\nread"),
    *("TTFT p50\nstamped", "p99\nstamped", "gap p99\nstamped", "client\ncores"),
    *("mock late\np99", "mock\ncores", "in flight\nheld"),
)

Streams = Annotated[str, typer.Option(metavar="N[,N...]", help="Streams held at once.")]
Processes = Annotated[int, typer.Option(min=1, help="Of the client.")]
Json = Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")]


def selftest(
    streams: Streams = _DEFAULT_STREAMS, processes: Processes = 1, json: Json = False
) -> None:
    """Measure a mock whose every token has a known time: what is off is our own error."""
    levels = parse_streams(streams)
    console = Console(stderr=True, highlight=False)
    rows = []
    for level in levels:
        console.print(f"selftest: {level} streams", markup=False)
        rows.append(uvloop.run(measure_streams(level, processes=processes)))
    console.print("selftest: pace and turns", markup=False)
    pace = uvloop.run(measure_pace(processes=processes))
    turns = uvloop.run(measure_turns(processes=processes))
    if json:
        found = {"plan": PLAN, "streams": rows, "pace": pace, "turns": turns}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        _print(rows, pace, turns)


def parse_streams(text: str) -> list[int]:
    """Return the numbers of a list such as ``1,100``.

    Raises:
        ConfigError: Not numbers from 1 up.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ConfigError(
            f"--streams: {quoted(text)} is not a list of numbers from 1 up",
            hint=f'--streams "{_DEFAULT_STREAMS}"',
        )
    return [int(part) for part in parts]


def _print(rows: list[StreamsRow], pace: PaceRow, turns: TurnsRow) -> None:
    console = report_console()
    console.print(streams_table(rows))
    for line in (*notes(rows), pace_line(pace), turns_line(turns)):
        print_line(console, line)


def streams_table(rows: list[StreamsRow]) -> Table:
    """Return our error at each number of streams, next to how late the mock itself was."""
    table = Table(
        title=f"measured less true, ms (TTFT {PLAN.ttft_s * 1000:g}, gaps {PLAN.itl_s * 1000:g})",
        title_justify="left",
        title_style="bold",
    )
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: StreamsRow) -> list[str]:
    found, mock = row.found, row.mock
    return [
        str(row.streams),
        f"{found.chunks_per_s:.0f}",
        *_errors(found.read),
        *_errors(found.stamped),
        f"{row.cpu_cores:.2f}",
        _ms(mock.late.p99_s),
        f"{mock.cpu_s / mock.busy_s:.2f}" if mock.busy_s else "-",
        "-" if mock.held_share is None else f"{mock.held_share:.1%}",
    ]


def _errors(errors: Errors | None) -> tuple[str, ...]:
    if errors is None:
        return ("-", "-", "-")
    return _ms(errors.ttft_s), _ms(errors.ttft_p99_s), _ms(errors.gap_p99_s)


def notes(rows: list[StreamsRow]) -> list[str]:
    """Return what must be known to read the table."""
    found = ["read: as a client without the kernel's stamps would measure; stamped: as we do"]
    late = [row for row in rows if not row.held]
    if late:
        levels = ", ".join(str(row.streams) for row in late)
        found.append(f"at {levels} streams the mock was late itself; true is what it sent")
    wrong = [row for row in rows if not row.asked == row.mock.streams == row.mock.distinct]
    found += [
        f"at {row.streams} streams {row.mock.streams} requests arrived, {row.mock.distinct} of "
        f"them different, {row.asked} were sent"
        for row in wrong
    ]
    if not wrong:
        found.append("every request arrived once")
    return found


def pace_line(pace: PaceRow) -> str:
    return (
        f"pace: {pace.achieved_share:.2%} of {pace.rate_per_s:g} requests a second, left "
        f"{_ms(pace.send_delay_p99_s)} ms late at p99 ({_ms(pace.send_delay_p50_s)} at p50); "
        f"{pace.arrived} of {pace.asked} arrived, {pace.distinct} of them different"
    )


def turns_line(turns: TurnsRow) -> str:
    each = " and ".join(map(str, turns.arrived))
    return f"round robin: of {turns.asked} requests two mocks got {each}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"
