"""The mock as a process, and what the client measures of it; no assertion on how fast either is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from replicore.bench.client.run import send_sessions
from replicore.bench.load.arrivals import Load
from replicore.bench.load.bodies import route
from replicore.bench.load.workload import Api, Workload
from replicore.bench.record import BenchResult
from replicore.bench.selfcheck.against_mock import mock_sessions
from replicore.bench.selfcheck.calibration import calibrate
from replicore.bench.selfcheck.mock.account import Report
from replicore.bench.selfcheck.mock.child import Mock, running_mock
from replicore.bench.selfcheck.mock.server import Plan
from replicore.bench.selfcheck.selftest import measure_pace, measure_streams, measure_turns
from replicore.http.fetch import fetch

TIMEOUT_S = 60.0
QUICK = Plan(ttft_s=0.005, itl_s=0.001, tokens=5)

T = TypeVar("T")


def run(test: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(TIMEOUT_S):
            return await test()

    return asyncio.run(bounded())


def with_mock(test: Callable[[Mock], Awaitable[T]], plan: Plan = QUICK) -> T:
    async def body() -> T:
        async with running_mock(plan) as mock:
            return await test(mock)

    return run(body)


async def send(mock: Mock, requests: int, *, concurrency: int = 2, api: Api = Api.CHAT) -> Report:
    """Send streams of five tokens, check that all are whole, and return what the mock saw."""
    done = await send_sessions(
        [mock.url],
        mock_sessions(api, requests=requests, input_tokens=20, output_tokens=5),
        path=route(api),
        load=Load(concurrency=concurrency),
    )
    assert [record.failure for record in done.records] == [None] * requests
    assert {len(record.chunk_times_s) for record in done.records} == {5}
    return await mock.report(in_flight=concurrency)


@pytest.mark.parametrize("api", list(Api))
def test_mock_sees_every_request_once_and_sends_every_token(api: Api) -> None:
    report = with_mock(lambda mock: send(mock, 7, api=api))

    assert (report.streams, report.distinct, report.finished) == (7, 7, 7)
    assert (report.tokens, report.ttft.n, report.gap.n) == (35, 7, 28)
    assert report.most_in_flight == 2
    assert report.held_share is not None
    assert 0 < report.held_share <= 1


def test_mock_is_never_early() -> None:
    async def measure(mock: Mock) -> list[float]:
        done = await send_sessions(
            [mock.url],
            mock_sessions(Api.CHAT, requests=3, input_tokens=9, output_tokens=5),
            path=route(Api.CHAT),
            load=Load(concurrency=1),
        )
        return [r.chunk_times_s[-1] - r.dispatched_s for r in done.records]

    plan = Plan(ttft_s=0.03, itl_s=0.005)

    # 30 ms to the first token, four gaps of 5 ms; stamps are good to some microseconds.
    assert all(e2e > 0.0498 for e2e in with_mock(measure, plan))


def test_mock_answers_requests_without_a_stream_at_once() -> None:
    async def ask(mock: Mock) -> tuple[int, Report]:
        body = json.dumps({"prompt": [1, 2, 3], "max_tokens": 2}).encode()
        reply = await fetch(mock.url, "POST", "/v1/completions", body=body, timeout=TIMEOUT_S)
        return json.loads(reply.body)["usage"]["prompt_tokens"], await mock.report()

    counted, report = with_mock(ask)

    assert counted == 3
    assert (report.others, report.streams) == (1, 0)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/models", None, 200),
        ("GET", "/health", None, 200),
        ("POST", "/tokenize", b'{"prompt": "a b"}', 200),
        ("GET", "/nothing", None, 404),
        ("POST", "/v1/completions", b"not json", 400),
    ],
)
def test_mock_answers_what_a_client_asks_before_it_measures(
    method: str, path: str, body: bytes | None, status: int
) -> None:
    async def ask(mock: Mock) -> int:
        return (await fetch(mock.url, method, path, body=body, timeout=TIMEOUT_S)).status

    assert with_mock(ask) == status


def test_reset_counts_from_zero() -> None:
    async def twice(mock: Mock) -> Report:
        await send(mock, 4)
        await mock.reset()
        return await send(mock, 3)

    assert with_mock(twice).streams == 3


def test_client_that_leaves_is_counted_as_cut_and_the_mock_goes_on() -> None:
    async def leave(mock: Mock) -> Report:
        host, port = mock.url.removeprefix("http://").split(":")
        body = b'{"prompt": "x", "stream": true, "max_tokens": 100000}'
        with socket.create_connection((host, int(port))) as sock:
            head = b"POST /v1/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)
            sock.sendall(head + body)
            assert sock.recv(1)
        return await send(mock, 2)

    report = with_mock(leave)

    assert (report.streams, report.finished) == (3, 2)


def test_malformed_request_closes_the_connection_and_the_mock_goes_on() -> None:
    async def confuse(mock: Mock) -> Report:
        host, port = mock.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(b"nonsense\r\n\r\n")
            assert sock.recv(1) == b""
        return await send(mock, 2)

    assert with_mock(confuse).finished == 2


def test_mock_ends_with_its_parent() -> None:
    code = (
        "import subprocess, sys, time\n"
        "argv = ['-m', 'replicore.bench.selfcheck.mock', '--port=0', '--until-eof']\n"
        "child = subprocess.Popen([sys.executable, *argv], stdin=subprocess.PIPE)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith(b"mock at http://127.0.0.1:")
        os.kill(parent.pid, signal.SIGKILL)

        # The pipe ends when nobody can write to it any more.
        assert parent.stdout.read() == b""


def test_mock_that_cannot_listen_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        argv = [sys.executable, "-m", "replicore.bench.selfcheck.mock", "--port", port]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S)

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.slow
def test_calibration_repeats_the_load_of_a_run() -> None:
    async def measure(mock: Mock) -> BenchResult:
        done = await send_sessions(
            [mock.url],
            mock_sessions(Api.CHAT, requests=6, input_tokens=9, output_tokens=5),
            path=route(Api.CHAT),
            load=Load(concurrency=3),
        )
        return BenchResult(
            endpoints=(mock.url,),
            model="mock",
            workload=Workload(api=Api.CHAT),
            load=Load(concurrency=3),
            requests=6,
            simulated=True,
            exact_prompts=True,
            started_at="2026-01-01T00:00:00+00:00",
            interrupted=False,
            warmup=(),
            records=done.records,
        )

    result = with_mock(measure)
    calibration = run(lambda: calibrate(result))

    assert calibration is not None
    assert calibration.streams == 3
    assert calibration.chunks_per_s > 0
    # The mock is never early, and the clocks agree to far less than this.
    assert calibration.ttft_error_s > -0.001


@pytest.mark.slow
def test_selftest_finds_every_request_at_the_mock() -> None:
    row = run(lambda: measure_streams(2))

    assert (row.asked, row.mock.streams, row.mock.distinct, row.mock.finished) == (6, 6, 6, 6)
    assert row.found.requests == 6
    assert row.mock.most_in_flight == 2
    assert row.cpu_cores > 0


@pytest.mark.slow
def test_selftest_sends_a_plan_to_its_end() -> None:
    pace = run(lambda: measure_pace(50.0))

    assert (pace.asked, pace.arrived, pace.distinct) == (150, 150, 150)
    assert pace.send_delay_p99_s >= 0


def test_selftest_finds_that_round_robin_takes_turns() -> None:
    turns = run(measure_turns)

    assert sum(turns.arrived) == turns.asked
    assert abs(turns.arrived[0] - turns.arrived[1]) == 1


@pytest.mark.slow
def test_selftest_command_prints_what_it_found_as_json() -> None:
    argv = [sys.executable, "-m", "replicore", "bench", "selftest", "--streams", "5", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    found = json.loads(done.stdout)

    assert [row["streams"] for row in found["streams"]] == [5]
    assert found["streams"][0]["mock"]["streams"] == 15
    assert found["pace"]["arrived"] == found["pace"]["asked"]
    assert found["turns"]["asked"] == sum(found["turns"]["arrived"])
