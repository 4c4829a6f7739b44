"""The load client against scripted servers: order, places, times, sessions, and every end."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
import uvloop

from replicore.bench.client.call import Call
from replicore.bench.client.run import Run, send_sessions
from replicore.bench.client.tick import Tick
from replicore.bench.load.arrivals import Load
from replicore.bench.load.jobs import Job, MakeBody, Session
from replicore.bench.record import ClientSecond, FailureKind, RequestRecord, ServerSample
from replicore.errors import ConfigError
from replicore.http.server import Response
from tests.integration.bench_server import (
    DONE,
    SSE,
    HoldUntil,
    Server,
    chunk,
    event,
    serving,
    usage,
    whole,
)

TIMEOUT_S = 30.0
TWO = Load(concurrency=2)
ANY = Load(concurrency=1000)


def body(index: int = 0, **fields: Any) -> bytes:
    asked = {"prompt": [index, 0, 0], "max_tokens": 3, "stream": True}
    return json.dumps(asked | fields).encode()


def job(index: int, made: bytes | MakeBody | None = None, *, pause_s: float = 0.0) -> Job:
    return Job(
        index=index, body=made or body(index), input_tokens=3, output_tokens=3, pause_s=pause_s
    )


def single(index: int, **options: Any) -> Session:
    return Session(index=index, jobs=[job(index)], **options)


def singles(count: int) -> list[Session]:
    return [single(index) for index in range(count)]


def send(*servers: Server, sessions: Iterable[Session], load: Load = TWO, **options: Any) -> Run:
    async def run() -> Run:
        async with asyncio.timeout(TIMEOUT_S), serving(*servers) as urls:
            return await send_sessions(urls, sessions, path="/v1/completions", load=load, **options)

    return uvloop.run(run())


def order(server: Server) -> list[int]:
    """Indices of the requests that a server saw, in order."""
    return [body["prompt"][0] for body in server.bodies]


def kinds(run: Run) -> list[FailureKind | None]:
    failures = (record.failure for record in run.records)
    return [None if failure is None else failure.kind for failure in failures]


class Hold:
    """Answers nothing by itself."""

    def __init__(self) -> None:
        self.held: list[tuple[dict[str, Any], Response]] = []

    def __call__(self, server: Server, body: dict[str, Any], response: Response) -> None:
        self.held.append((body, response))


# The closed loop


def test_each_request_is_sent_once_and_in_order() -> None:
    server = Server()
    run = send(server, sessions=singles(40), load=Load(concurrency=1))

    assert order(server) == list(range(40))
    assert [record.index for record in run.records] == list(range(40))
    assert not run.stopped


def test_places_are_filled_and_never_overfilled() -> None:
    server = Server(HoldUntil(5, total=40))
    send(server, sessions=singles(40), load=Load(concurrency=5))

    assert server.most_open == 5


def test_warmup_is_handed_over_without_a_pause() -> None:
    # 3 places: if the warm-up were waited for, its last request would be alone at the server.
    server = Server(HoldUntil(3, total=7))
    sessions = [*(single(index, warmup=True) for index in range(3)), *singles(4)]
    run = send(server, sessions=sessions, load=Load(concurrency=3))

    assert (len(run.warmup), len(run.records)) == (3, 4)
    assert server.most_open == 3


def test_request_of_a_closed_loop_was_intended_when_its_place_became_free() -> None:
    run = send(Server(), sessions=singles(3), load=Load(concurrency=1))
    first, second, third = run.records

    assert first.intended_s == 0.0
    assert second.intended_s == pytest.approx(first.ended_s)
    assert third.intended_s == pytest.approx(second.ended_s)
    assert second.intended_s <= second.dispatched_s


def test_sessions_are_made_while_others_are_on_their_way() -> None:
    server = Server(HoldUntil(2, total=30))
    begun: list[int] = []

    def made() -> Iterator[Session]:
        for index in range(30):
            begun.append(len(server.bodies))
            yield single(index)

    run = send(server, sessions=made())

    assert len(run.records) == 30
    assert begun[-1] >= 25


# Open loops


def test_plan_is_kept_and_the_intended_times_are_those_of_the_plan() -> None:
    times = [0.0, 0.02, 0.02, 0.0505]
    sessions = [single(index, at_s=at_s) for index, at_s in enumerate(times)]
    run = send(Server(), sessions=sessions, load=ANY)

    assert [record.intended_s for record in run.records] == pytest.approx(times)
    assert all(record.dispatched_s >= record.intended_s for record in run.records)


def test_plan_does_not_wait_for_answers() -> None:
    server = Server(HoldUntil(20, total=20))
    sessions = [single(index, at_s=index / 1000) for index in range(20)]
    run = send(server, sessions=sessions, load=ANY)

    assert server.most_open == 20
    assert kinds(run) == [None] * 20


def test_cap_delays_a_request_and_its_intended_time_stays() -> None:
    def slow(server: Server, body: dict[str, Any], response: Response) -> None:
        asyncio.get_running_loop().call_later(0.01, whole, server, body, response)

    sessions = [single(index, at_s=0.0) for index in range(3)]
    first, second, third = send(Server(slow), sessions=sessions, load=Load(concurrency=1)).records

    assert [first.intended_s, second.intended_s, third.intended_s] == [0.0, 0.0, 0.0]
    assert third.dispatched_s >= second.ended_s
    assert second.dispatched_s >= first.ended_s


# Sessions


def test_turns_are_sent_one_after_the_other_with_the_answers_in_their_bodies() -> None:
    seen: list[Sequence[str]] = []

    def second(answers: Sequence[str]) -> bytes:
        seen.append(tuple(answers))
        return body(1)

    def third(answers: Sequence[str]) -> bytes:
        seen.append(tuple(answers))
        return body(2)

    server = Server()
    session = Session(index=4, jobs=[job(0), job(1, second), job(2, third)])
    run = send(server, sessions=[session])

    assert order(server) == [0, 1, 2]
    assert seen == [("w0 w1 w2 ",), ("w0 w1 w2 ", "w0 w1 w2 ")]
    assert [(record.session, record.turn) for record in run.records] == [(4, 0), (4, 1), (4, 2)]


def test_pause_between_turns_is_kept_and_intended() -> None:
    session = Session(index=0, jobs=[job(0), job(1, pause_s=0.03)])
    first, second = send(Server(), sessions=[session]).records

    assert second.intended_s == pytest.approx(first.ended_s + 0.03)
    assert second.dispatched_s >= second.intended_s


def test_session_keeps_its_place_in_its_pauses() -> None:
    server = Server()
    sessions = [Session(index=0, jobs=[job(0), job(1, pause_s=0.02)]), single(2)]
    send(server, sessions=sessions, load=Load(concurrency=1))

    assert order(server) == [0, 1, 2]


def test_session_goes_on_after_a_turn_that_failed() -> None:
    def second_fails(server: Server, body: dict[str, Any], response: Response) -> None:
        if len(server.bodies) == 2:
            response.send(500, b"{}")
        else:
            whole(server, body, response)

    session = Session(index=0, jobs=[job(0), job(1), job(2, lambda answers: body(len(answers)))])
    run = send(Server(second_fails), sessions=[session])

    assert kinds(run) == [None, FailureKind.HTTP, None]


def test_sticky_sessions_stay_at_their_endpoint() -> None:
    servers = Server(), Server()
    sessions = [
        Session(index=index, jobs=[job(10 * index + turn) for turn in range(4)])
        for index in range(6)
    ]
    run = send(*servers, sessions=sessions, dispatch="sticky")

    homes = {session: set[str]() for session in range(6)}
    for record in run.records:
        homes[record.session].add(record.endpoint)
    assert [len(endpoints) for endpoints in homes.values()] == [1] * 6
    assert len({endpoint for home in homes.values() for endpoint in home}) == 2


def test_round_robin_counts_differ_by_at_most_one() -> None:
    servers = Server(), Server(), Server()
    send(*servers, sessions=singles(31), load=Load(concurrency=4), dispatch="round_robin")

    assert sorted(len(server.bodies) for server in servers) == [10, 10, 11]


# What is recorded


def test_text_is_kept_only_when_it_is_asked_for() -> None:
    assert send(Server(), sessions=singles(1)).records[0].text is None
    assert send(Server(), sessions=singles(1), keep_text=True).records[0].text == "w0 w1 w2 "


def test_headers_are_sent_with_each_request() -> None:
    server = Server()
    send(server, sessions=singles(2), headers=[(b"authorization", b"Bearer k")])

    assert server.authorizations == [b"Bearer k", b"Bearer k"]


def test_connection_time_is_recorded_for_a_new_connection_only() -> None:
    # As many as there are places are opened before the clock starts.
    kept = send(Server(), sessions=singles(2), load=Load(concurrency=1)).records

    assert [record.connected_s for record in kept] == [None, None]


def test_request_on_a_new_connection_has_the_time_it_was_open() -> None:
    def closing(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, [*SSE, (b"connection", b"close")])
        response.write(chunk("a") + usage(body, 1) + DONE)
        response.end()

    first, second = send(Server(closing), sessions=singles(2), load=Load(concurrency=1)).records

    assert first.connected_s is None
    assert second.connected_s is not None
    assert second.dispatched_s <= second.connected_s <= (second.written_s or 0)


def test_events_and_the_first_of_the_answer_are_recorded() -> None:
    def thinking(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(event(choices=[{"delta": {"role": "assistant"}}]))
        response.write(event(choices=[{"delta": {"reasoning_content": "hm"}}]))
        asyncio.get_running_loop().call_later(0.01, answer, body, response)

    def answer(body: dict[str, Any], response: Response) -> None:
        response.write(event(choices=[{"delta": {"content": "a"}}]) + usage(body, 2) + DONE)
        response.end()

    (record,) = send(Server(thinking), sessions=singles(1)).records

    assert record.events == 4
    assert len(record.chunk_times_s) == 2
    assert record.answer_s == record.chunk_times_s[1] > record.chunk_times_s[0]


def test_calls_are_freed_without_the_collector_which_is_off_in_a_run() -> None:
    gc.collect()
    gc.disable()
    try:
        send(Server(), sessions=singles(20))
        left = [one for one in gc.get_objects() if isinstance(one, Call)]
    finally:
        gc.enable()

    assert left == []


def test_progress_that_raises_ends_the_run_with_its_error() -> None:
    def broken(tick: Tick) -> None:
        if tick.done:
            raise ValueError("no terminal")

    with pytest.raises(ValueError, match="no terminal"):
        send(Server(), sessions=singles(4), progress=broken)


class FakeMeter:
    """Tells where it was started and stopped."""

    def __init__(self, worker: int, zero: float) -> None:
        self._worker = worker
        self.calls: list[str] = []
        METERS.append(self)

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> list[ClientSecond]:
        self.calls.append("stop")
        return [
            ClientSecond(
                worker=self._worker,
                start_s=0.0,
                loop_lag_s=0.0,
                cpu_share=0.5,
                run_queue_s=None,
                gc_s=0.0,
            )
        ]


METERS: list[FakeMeter] = []


class FakeScraper:
    def __init__(self, endpoints: Sequence[str], zero: float) -> None:
        self._endpoints = endpoints

    def start(self) -> None: ...

    async def stop(self) -> list[ServerSample]:
        return [ServerSample(replica=endpoint, at_s=0.0) for endpoint in self._endpoints]


def test_client_and_servers_are_watched() -> None:
    METERS.clear()
    server = Server()
    run = send(server, sessions=singles(1), meter=FakeMeter, scraper=FakeScraper)

    assert [meter.calls for meter in METERS] == [["start", "stop"]]
    assert [second.cpu_share for second in run.client] == [0.5]
    assert [sample.replica for sample in run.servers] == [server.url]


# Ends


def stuck_after(answered: int) -> Callable[[Server, dict[str, Any], Response], None]:
    def script(server: Server, body: dict[str, Any], response: Response) -> None:
        if len(server.bodies) <= answered:
            whole(server, body, response)

    return script


def test_run_by_time_sends_nothing_after_it_and_waits_for_what_is_in_flight() -> None:
    def slow(server: Server, body: dict[str, Any], response: Response) -> None:
        asyncio.get_running_loop().call_later(0.03, whole, server, body, response)

    # Sessions without end: that it returns at all is the end of the time.
    run = send(Server(slow), sessions=endless(), duration_s=0.2)

    assert not run.stopped
    assert run.records
    assert kinds(run) == [None] * len(run.records)


def endless() -> Iterator[Session]:
    index = 0
    while True:
        yield single(index)
        index += 1


def test_drain_gives_the_last_requests_their_time_and_then_leaves_them_unfinished() -> None:
    run = send(Server(stuck_after(4)), sessions=singles(6), duration_s=0.5, drain_s=0.1)
    unfinished = [record for record in run.records if record.unfinished]

    assert not run.stopped
    assert [record.succeeded for record in run.records] == [True] * 4 + [False] * 2
    assert [record.failure and record.failure.message for record in unfinished] == [
        "not finished within 0.1 s after the end of the run"
    ] * 2
    assert all(record.ended_s > 0.59 for record in unfinished)


def test_drain_of_a_plan_begins_when_its_last_request_has_left() -> None:
    def slow(server: Server, body: dict[str, Any], response: Response) -> None:
        asyncio.get_running_loop().call_later(0.05, whole, server, body, response)

    # One at a time, so that the last ones leave after the end of the run, and still have all of it.
    sessions = [single(index, at_s=0.0) for index in range(4)]
    run = send(
        Server(slow), sessions=sessions, load=Load(concurrency=1), duration_s=0.02, drain_s=5.0
    )

    assert kinds(run) == [None] * 4


def test_run_that_is_over_before_its_time_does_not_wait_for_it() -> None:
    run = send(Server(), sessions=singles(3), duration_s=60, drain_s=0.01)

    assert kinds(run) == [None] * 3


def test_run_by_time_ends_a_session_in_its_pause() -> None:
    server = Server()
    session = Session(index=0, jobs=[job(0), job(1, pause_s=60)])
    run = send(server, sessions=[session], duration_s=0.05)

    assert order(server) == [0]
    assert not run.stopped


def test_stopped_run_cancels_what_is_in_flight_and_keeps_the_rest() -> None:
    stop = asyncio.Event()

    def stop_when_stuck(tick: Tick) -> None:
        if tick.done == 4:
            stop.set()

    run = send(Server(stuck_after(4)), sessions=singles(50), progress=stop_when_stuck, stop=stop)

    assert run.stopped
    assert kinds(run) == [None] * 4 + [FailureKind.INTERRUPTED] * 2


def test_run_stopped_before_it_began_sends_what_has_places() -> None:
    stop = asyncio.Event()
    stop.set()
    run = send(Server(Hold()), sessions=singles(9), stop=stop)

    assert run.stopped
    assert kinds(run) == [FailureKind.INTERRUPTED] * 2


def test_body_that_cannot_be_made_ends_the_run_with_its_error() -> None:
    def broken(answers: Sequence[str]) -> bytes:
        raise ValueError("no template")

    session = Session(index=0, jobs=[job(0), job(1, broken)])

    with pytest.raises(ValueError, match="no template"):
        send(Server(), sessions=[session])


def test_sessions_that_cannot_be_made_end_the_run_with_their_error() -> None:
    def broken() -> Iterator[Session]:
        yield single(0)
        yield single(1)
        raise ValueError("end of file")

    with pytest.raises(ValueError, match="end of file"):
        send(Server(), sessions=broken())


def test_no_session_is_no_request() -> None:
    run = send(Server(), sessions=[])

    assert (run.records, run.warmup, run.stopped) == ((), (), False)


def test_dead_endpoint_is_a_failure_of_each_request_to_it() -> None:
    server = Server()

    async def run() -> Run:
        async with serving(server) as urls:
            # Port 1 is reserved, and nobody listens there.
            ends = ["http://127.0.0.1:1", *urls]
            return await send_sessions(ends, singles(20), path="/v1/completions", load=TWO)

    records: tuple[RequestRecord, ...] = uvloop.run(run()).records
    failed = [record for record in records if not record.succeeded]

    assert {record.failure.kind for record in failed if record.failure} == {FailureKind.CONNECT}
    assert all(record.written_s is None for record in failed)
    assert len(server.bodies) == 20 - len(failed) > 10


def test_no_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="no URL"):
        send(sessions=singles(1))


@pytest.mark.parametrize("processes", [1, 2])
def test_url_that_is_none_is_refused_before_anything_is_started(processes: int) -> None:
    sending = send_sessions(
        ["ftp://x"], singles(4), path="/v1/completions", load=TWO, processes=processes
    )

    with pytest.raises(ConfigError, match="ftp://x"):
        asyncio.run(sending)
