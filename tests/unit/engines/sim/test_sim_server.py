"""The simulator's routes without a socket, on a clock that is set by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast

import pytest

from replicore.engines.sim.faults import Faults
from replicore.engines.sim.options import SimOptions
from replicore.engines.sim.scheduler import Timing
from replicore.engines.sim.server import SimServer
from replicore.http.server import Request, Response

TIMEOUT_S = 10.0
ONE_TOKEN = {"max_tokens": 1, "ignore_eos": True, "stream": True}


class FakeResponse:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.body = b""
        self.ended = asyncio.Event()
        self.on_disconnect: Callable[[], None] | None = None
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None

    def send(self, status: int, body: bytes, **more: object) -> None:
        self.body += body

    def start(self, status: int, headers: object) -> None: ...

    def write(self, data: bytes) -> None:
        self.body += data

    def end(self) -> None:
        self.ended.set()


def ask(server: SimServer, method: str, path: str, **body: object) -> FakeResponse:
    response = FakeResponse()
    request = Request(method, path, "", {}, "1.1", keep_alive=True)
    request.body = json.dumps(body).encode()
    server.handle(request, cast(Response, response))
    return response


def never(fault: str) -> None:
    pytest.fail(fault)


@pytest.mark.parametrize(("now", "late"), [(0.5, "0.0"), (3.0, "2.0")])
def test_metrics_say_how_late_the_simulator_is(now: float, late: str) -> None:
    clock = [0.0]
    timing = Timing(prefill_tokens_per_s=1, decode_tokens_per_s=1)

    async def page() -> bytes:
        options = SimOptions(timing=timing)
        server = SimServer(options, faults=Faults(), die=never, clock=lambda: clock[0])
        # Its first token is due at 1.0.
        ask(server, "POST", "/v1/completions", prompt=[1], stream=True)
        clock[0] = now
        return ask(server, "GET", "/metrics").body

    found = asyncio.run(page()).decode()
    assert f'simulator:late_seconds{{model_name="simulated"}} {late}\n' in found


class Streams:
    """So many streams of one token each, all due at once."""

    def __init__(self, count: int) -> None:
        self._now = 1.0
        options = SimOptions(timing=Timing(prefill_tokens_per_s=1e12), slots=count)
        self.server = SimServer(options, faults=Faults(), die=never, clock=lambda: self._now)
        self.responses = [
            ask(self.server, "POST", "/v1/completions", prompt=[7, n], **ONE_TOKEN)
            for n in range(count)
        ]
        self._now += 0.01

    @property
    def written(self) -> int:
        return sum(response.ended.is_set() for response in self.responses)

    async def end_of(self, response: FakeResponse) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await response.ended.wait()


def test_tokens_of_many_streams_are_written_in_several_turns_of_the_loop() -> None:
    async def test() -> tuple[int, int]:
        streams = Streams(300)
        await streams.end_of(streams.responses[0])
        at_first = streams.written
        await streams.end_of(streams.responses[-1])
        return at_first, streams.written

    at_first, at_last = asyncio.run(test())
    assert 0 < at_first < at_last == 300


def test_client_that_leaves_before_its_token_is_written_is_counted_once() -> None:
    async def test() -> str:
        streams = Streams(300)
        await streams.end_of(streams.responses[0])
        left = streams.responses[-1]
        assert left.on_disconnect is not None
        left.on_disconnect()
        await streams.end_of(streams.responses[-2])
        assert left.body == b""
        return ask(streams.server, "GET", "/metrics").body.decode()

    page = asyncio.run(test())
    assert 'finished_reason="abort",model_name="simulated"} 1\n' in page
    assert 'finished_reason="length",model_name="simulated"} 299\n' in page
