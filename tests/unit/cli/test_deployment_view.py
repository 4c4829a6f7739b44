from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from replicore.cli.deployment_view import (
    admin_line,
    counters,
    describe,
    headline,
    troubles,
    units_table,
)
from replicore.deploy.status import LayoutStatus, Status, UnitStatus
from replicore.gateway.table import Stats

R0 = UnitStatus(
    name="r0",
    state="ready",
    state_s=72,
    cores="0-3",
    endpoint="http://127.0.0.1:4000",
    incarnation=2,
    pid=123,
)
STATUS = Status(
    name="default",
    url="http://127.0.0.1:8000",
    pid=7,
    uptime_s=3725,
    ready=True,
    model="smollm2",
    engine="sim",
    simulated=True,
    layout=LayoutStatus(replicas=1, tp=4, batch_size=4, max_model_len=64, reason="so"),
    replicas=(R0,),
    gateways=(R0,),
    admin_socket="/state/default/admin.sock",
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"state": "starting"}, "r0 starting on cores 0-3 (pid 123)"),
        ({"state": "starting", "pid": None}, None),
        ({"state": "ready"}, "r0 ready"),
        ({"state": "backoff", "problem": "it fell", "retry_s": 1.26}, "r0 starts again in 1.3 s"),
        ({"state": "backoff", "problem": "it fell"}, None),
        ({"state": "crash_loop", "problem": "it fell", "failures": 5}, "failed 5 times"),
        ({"state": "failed", "problem": "it fell"}, "it fell\nr0 stays stopped"),
    ],
)
def test_change_reads_as_a_line(change: dict[str, object], expected: str | None) -> None:
    line = describe(msgspec.structs.replace(R0, **change))

    assert line is expected if expected is None or line is None else expected in line


def test_table_shows_state_cores_and_how_long() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(units_table([R0]))

    row = out.getvalue().splitlines()[1].split()
    assert row == ["r0", "ready", "1m12s", "0-3", "123", "2", "http://127.0.0.1:4000"]


def test_drained_replica_is_shown_as_such_whatever_its_state() -> None:
    out = io.StringIO()
    units = [
        msgspec.structs.replace(R0, drained=True, state=state) for state in ("ready", "starting")
    ]
    Console(file=out, width=100).print(units_table(units))

    assert "ready, drained" in out.getvalue()
    assert "starting, drained" in out.getvalue()


def test_admin_line_names_the_port_where_there_is_one() -> None:
    with_port = msgspec.structs.replace(STATUS, admin_url="http://127.0.0.1:9000")

    assert admin_line(STATUS) == "/metrics and /admin: the Unix socket /state/default/admin.sock"
    assert "http://127.0.0.1:9000 and the Unix socket" in admin_line(with_port)


def test_headline_says_simulated_where_it_is() -> None:
    assert headline(STATUS) == (
        "default: smollm2 (sim, simulated), ready, http://127.0.0.1:8000/v1, up 1h02m, pid 7"
    )


def test_counters_wait_for_the_first_report() -> None:
    stats = Stats(outstanding=1, queued=2, requests=3, errors=0, replicas={})

    assert counters(STATUS) is None
    assert counters(msgspec.structs.replace(STATUS, stats=stats)) == (
        "requests: 3, errors: 0, outstanding: 1, queued: 2"
    )


def test_how_a_replica_ended_is_told_in_full_while_it_is_down() -> None:
    problem = "r0 exited with code 70 after 1.3 s; its last lines:\n  | out of memory"
    down = msgspec.structs.replace(R0, state="crash_loop", problem=problem)
    again = msgspec.structs.replace(R0, problem=problem)

    assert troubles([down, again]) == [problem]


def test_a_replica_that_serves_again_has_its_last_end_as_a_note() -> None:
    problem = "r0 exited with code 70 after 1.3 s; its last lines:\n  | out of memory"
    out = io.StringIO()
    again = msgspec.structs.replace(R0, problem=problem)
    Console(file=out, width=200).print(units_table([again]))

    assert out.getvalue().rstrip().endswith("before that: r0 exited with code 70 after 1.3 s")
