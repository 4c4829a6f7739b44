"""The benchmark against a scripted server: what it sends, how it waits, what it records."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from replicore.bench.client.tick import Tick
from replicore.bench.load.workload import Api, Lengths, Workload
from replicore.bench.record import BenchResult, FailureKind
from replicore.bench.runner import run_bench
from replicore.bench.stats.summary import summarize
from replicore.errors import ConfigError, UpstreamError
from replicore.http.server import HttpServer, Response, listen
from tests.integration.bench_server import (
    DONE,
    SSE,
    Answer,
    HoldUntil,
    Server,
    chunk,
    event,
    running,
    serving,
    usage,
    whole,
)

WORKLOAD = Workload(input_tokens=Lengths(20), output_tokens=Lengths(3), seed=1)


def bench(
    *servers: Server,
    requests: int = 8,
    concurrency: int = 2,
    workload: Workload = WORKLOAD,
    **options: Any,
) -> BenchResult:
    """Run the servers and a benchmark over them in a loop of its own."""
    options = {"warmup": 0} | options

    async def run() -> BenchResult:
        async with serving(*servers) as urls:
            return await run_bench(
                urls, workload, requests=requests, concurrency=concurrency, **options
            )

    return asyncio.run(run())


def failures(result: BenchResult) -> list[FailureKind]:
    return [record.failure.kind for record in result.records if record.failure is not None]


# What is sent


def test_bench_sends_exactly_the_asked_requests() -> None:
    server = Server()
    result = bench(server, requests=23, concurrency=4)

    assert len(server.bodies) == 23
    assert [record.index for record in result.records] == list(range(23))
    assert all(record.succeeded for record in result.records)


def test_bench_keeps_exactly_the_asked_concurrency() -> None:
    server = Server(HoldUntil(5, total=30))
    result = bench(server, requests=30, concurrency=5)

    assert server.most_open == 5
    assert len(result.records) == 30


def test_bench_with_fewer_requests_than_concurrency_sends_them_all_at_once() -> None:
    server = Server(HoldUntil(3, total=3))
    result = bench(server, requests=3, concurrency=8)

    assert server.most_open == 3
    assert all(record.succeeded for record in result.records)


def test_prompts_are_token_ids_of_exactly_the_asked_length() -> None:
    server = Server()
    bench(server, workload=Workload(input_tokens=Lengths(100, 30), seed=4))

    asked = [Workload(input_tokens=Lengths(100, 30), seed=4).request(i) for i in range(8)]
    assert [len(body["prompt"]) for body in server.bodies] == [d.input_tokens for d in asked]
    assert all(isinstance(token, int) for body in server.bodies for token in body["prompt"])


def test_request_body_asks_for_a_stream_with_usage_and_the_full_output() -> None:
    server = Server()
    bench(server, requests=1)
    body = server.bodies[0]

    assert (body["model"], body["max_tokens"], body["ignore_eos"]) == ("tiny", 3, True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_request_body_leaves_the_end_of_sequence_to_the_model_when_told() -> None:
    server = Server()
    bench(server, requests=1, workload=Workload(ignore_eos=False))

    assert "ignore_eos" not in server.bodies[0]


def test_given_model_name_is_sent_instead_of_the_first_served() -> None:
    server = Server()
    result = bench(server, requests=1, model="other")

    assert server.bodies[0]["model"] == "other"
    assert result.model == "other"


def test_text_prompts_replace_token_ids_where_the_server_does_not_tokenise() -> None:
    server = Server(tokenizes=False)
    result = bench(server, requests=1, workload=Workload(input_tokens=Lengths(45)))

    # 45 asked = 5 of the template + 2 per word
    assert len(server.bodies[0]["prompt"].split()) == 20
    assert result.exact_prompts is False


def test_chat_sends_one_user_message() -> None:
    server = Server()
    result = bench(server, requests=1, workload=Workload(input_tokens=Lengths(45), api=Api.CHAT))

    message = server.bodies[0]["messages"][0]
    assert (message["role"], len(message["content"].split())) == ("user", 20)
    assert result.exact_prompts is False


def test_warmup_requests_are_sent_first_and_kept_out_of_the_records() -> None:
    server = Server()
    result = bench(server, requests=4, concurrency=2, warmup=3)

    assert len(server.bodies) == 7
    assert (len(result.warmup), len(result.records)) == (3, 4)
    prompts = [tuple(body["prompt"]) for body in server.bodies]
    assert len(set(prompts)) == 7


def test_warmup_is_as_many_requests_as_the_concurrency_by_default() -> None:
    server = Server()
    result = bench(server, requests=4, concurrency=3, warmup=None)

    assert (len(server.bodies), len(result.warmup)) == (7, 3)


# What is recorded


def test_record_has_usage_counts_chunks_and_ordered_times() -> None:
    record = bench(Server(), requests=1).records[0]

    assert (record.input_tokens, record.output_tokens) == (20, 3)
    assert record.chunk_tokens == (1.0, 1.0, 1.0)
    assert (record.finish_reason, record.status) == ("length", 200)
    times = [record.intended_s, record.dispatched_s, record.written_s, record.head_s]
    times += [record.chunk_times_s[0], record.chunk_times_s[-1], record.ended_s]
    known = [time for time in times if time is not None]
    assert len(known) == len(times)
    assert known == sorted(known)


def test_chunk_of_several_tokens_is_one_chunk_with_all_its_tokens() -> None:
    def two_chunks(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(chunk("ab") + chunk("cdef") + usage(body, output=6) + DONE)
        response.end()

    record = bench(Server(two_chunks), requests=1).records[0]

    assert record.output_tokens == 6
    assert record.chunk_tokens == (2.0, 4.0)


def test_first_content_comes_after_role_and_progress_events() -> None:
    def opening(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(event(choices=[{"delta": {"role": "assistant", "content": ""}}]))
        response.write(event(choices=[], prompt_progress={"total": 20, "processed": 10}))
        # In a later packet than the opening, at least as a rule.
        asyncio.get_running_loop().call_later(0.01, content, body, response)

    def content(body: dict[str, Any], response: Response) -> None:
        response.write(event(choices=[{"delta": {"content": "a"}}]) + usage(body, 1) + DONE)
        response.end()

    record = bench(Server(opening), requests=1).records[0]

    assert record.head_s is not None
    assert [time > record.head_s for time in record.chunk_times_s] == [True]


def test_replica_is_named_by_the_answers_header() -> None:
    def by_turns(server: Server, body: dict[str, Any], response: Response) -> None:
        name = b"r%d" % (len(server.bodies) % 2)
        response.start(200, [*SSE, (b"x-replicore-replica", name)])
        response.write(chunk("a") + usage(body, 1) + DONE)
        response.end()

    summary = summarize(bench(Server(by_turns), requests=6, concurrency=1))

    assert [(row.name, row.requests) for row in summary.replicas] == [("r0", 3), ("r1", 3)]


def test_replica_without_a_header_is_named_by_its_address() -> None:
    servers = Server(), Server()
    summary = summarize(bench(*servers, requests=4, concurrency=1))

    assert {row.name for row in summary.replicas} == {
        s.url.removeprefix("http://") for s in servers
    }


def test_simulated_answers_mark_the_run() -> None:
    def simulated(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, [*SSE, (b"x-replicore-simulated", b"1")])
        response.write(chunk("a") + usage(body, 1) + DONE)
        response.end()

    assert bench(Server(simulated), requests=1).simulated
    assert not bench(Server(), requests=1).simulated


def test_progress_is_told_at_the_beginning_and_at_the_end() -> None:
    ticks: list[Tick] = []
    bench(Server(), requests=3, concurrency=1, warmup=2, progress=ticks.append)

    first, last = ticks[0], ticks[-1]
    assert (first.warming, first.done, first.total, first.output_tokens) == (2, 0, 3, 0)
    assert (last.warming, last.done, last.total, last.output_tokens) == (0, 3, 3, 9)
    assert (last.in_flight, last.errors) == (0, 0)
    assert [replica.done for replica in last.replicas] == [3]
    assert sum(len(tick.recent_ttft_s) for tick in ticks) == 3


# Several servers


@pytest.mark.parametrize("requests", [8, 9])
def test_equal_servers_get_the_same_number_of_requests_within_one(requests: int) -> None:
    servers = Server(), Server()
    bench(*servers, requests=requests, concurrency=1)

    counts = [len(server.bodies) for server in servers]
    assert sum(counts) == requests
    assert max(counts) - min(counts) <= 1


def test_servers_that_answer_in_turn_share_the_concurrency_evenly() -> None:
    servers = Server(HoldUntil(3, total=12)), Server(HoldUntil(3, total=12))
    bench(*servers, requests=24, concurrency=6)

    assert [server.most_open for server in servers] == [3, 3]
    assert [len(server.bodies) for server in servers] == [12, 12]


def test_slow_server_gets_no_more_than_its_share_in_flight() -> None:
    def never(server: Server, body: dict[str, Any], response: Response) -> None:
        if len(quick.bodies) == 18:
            finish(server)

    def until_the_end(server: Server, body: dict[str, Any], response: Response) -> None:
        whole(server, body, response)
        if len(server.bodies) == 18:
            finish(slow)

    def finish(server: Server) -> None:
        for body, response in zip(server.bodies, list(server.open_requests), strict=True):
            whole(server, body, response)

    slow, quick = Server(never), Server(until_the_end)
    result = bench(slow, quick, requests=20, concurrency=4)

    assert (len(slow.bodies), len(quick.bodies)) == (2, 18)
    assert all(record.succeeded for record in result.records)


def test_server_dying_mid_run_loses_no_request_and_does_not_draw_the_rest() -> None:
    def die_on_third(server: Server, body: dict[str, Any], response: Response) -> None:
        if len(server.bodies) < 3:
            whole(server, body, response)
            return
        dying[0].close()
        for connection in list(dying[0].connections):
            connection.abort()

    dying: list[HttpServer] = []
    mortal, steady = Server(die_on_third), Server()

    async def run() -> BenchResult:
        async with running(mortal) as http, running(steady):
            dying.append(http)
            return await run_bench(
                [mortal.url, steady.url], WORKLOAD, requests=40, concurrency=4, warmup=0
            )

    # asyncio's server cannot be closed while it is about to take a connection (3.11).
    result = uvloop.run(run())

    assert [record.index for record in result.records] == list(range(40))
    kinds = Counter(failures(result))
    assert set(kinds) <= {FailureKind.CONNECT, FailureKind.DISCONNECT}
    # At most one more failure than there are requests in flight, and then it gets nothing.
    assert 1 <= kinds.total() <= 8
    assert len(steady.bodies) == 40 - kinds.total() - 2


def test_refused_server_is_recorded_and_the_other_one_measured() -> None:
    free = listen("127.0.0.1", 0)
    refused = Server(url=f"http://127.0.0.1:{free.getsockname()[1]}")
    free.close()
    server = Server()

    async def run() -> BenchResult:
        async with running(server):
            return await run_bench(
                [refused.url, server.url], WORKLOAD, requests=10, concurrency=2, warmup=0
            )

    result = asyncio.run(run())

    assert set(failures(result)) == {FailureKind.CONNECT}
    assert len(server.bodies) == 10 - len(failures(result)) > 5


# SAD PATH


def test_no_server_at_all_is_an_error_that_names_them() -> None:
    sock = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    sock.close()

    with pytest.raises(UpstreamError, match=f"cannot connect to {url}") as caught:
        asyncio.run(run_bench([url], WORKLOAD, requests=1, concurrency=1))
    assert caught.value.hint is not None


def failing(answer: Answer, **options: Any) -> tuple[FailureKind, str]:
    """Return the failure of the second of three requests; the others are answered."""

    def second_fails(server: Server, body: dict[str, Any], response: Response) -> None:
        (answer if len(server.bodies) == 2 else whole)(server, body, response)

    result = bench(Server(second_fails), requests=3, concurrency=1, **options)
    assert [record.succeeded for record in result.records] == [True, False, True]
    failure = result.records[1].failure
    assert failure is not None
    return failure.kind, failure.message


def test_error_status_is_recorded_with_the_servers_message() -> None:
    def broken(server: Server, body: dict[str, Any], response: Response) -> None:
        response.send(500, b'{"error": {"message": "out of memory"}}')

    assert failing(broken) == (FailureKind.HTTP, "status 500: out of memory")


def test_malformed_event_is_recorded_with_its_text() -> None:
    def malformed(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(chunk("a") + b'data: {"id": \n\n' + usage(body) + DONE)
        response.end()

    kind, message = failing(malformed)

    assert kind is FailureKind.MALFORMED
    assert '{"id":' in message


def test_answer_that_is_no_stream_is_malformed() -> None:
    def unstreamed(server: Server, body: dict[str, Any], response: Response) -> None:
        response.send(200, b'{"choices": []}')

    assert failing(unstreamed) == (
        FailureKind.MALFORMED,
        'not an event stream: {"choices": []}',
    )


def test_connection_lost_mid_stream_is_a_cut_that_keeps_its_chunks() -> None:
    def cut(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(chunk("a"))
        # A reset at once may overtake the chunk.
        asyncio.get_running_loop().call_later(0.05, response.abort)

    def script(server: Server, body: dict[str, Any], response: Response) -> None:
        (cut if len(server.bodies) == 1 else whole)(server, body, response)

    result = bench(Server(script), requests=2, concurrency=1)

    assert failures(result) == [FailureKind.CUT]
    assert len(result.records[0].chunk_times_s) == 1


def test_stream_that_ends_without_its_end_mark_is_a_cut() -> None:
    def unmarked(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(chunk("a"))
        response.end()

    assert failing(unmarked) == (FailureKind.CUT, "the stream ended without [DONE]")


def test_connection_lost_before_an_answer_is_a_disconnect() -> None:
    def drop(server: Server, body: dict[str, Any], response: Response) -> None:
        response.abort()

    def script(server: Server, body: dict[str, Any], response: Response) -> None:
        # Also when it is sent again on a fresh connection.
        (whole if server.bodies[0] != body else drop)(server, body, response)

    result = bench(Server(script), requests=2, concurrency=1)

    assert failures(result) == [FailureKind.DISCONNECT]


def test_error_event_in_a_stream_is_recorded_with_its_message() -> None:
    def erring(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(chunk("a") + event(error={"message": "replica r0 died"}) + DONE)
        response.end()

    assert failing(erring) == (FailureKind.ERROR_EVENT, "replica r0 died")


def test_stream_without_usage_is_recorded_as_such() -> None:
    def uncounted(server: Server, body: dict[str, Any], response: Response) -> None:
        response.start(200, SSE)
        response.write(chunk("a") + DONE)
        response.end()

    assert failing(uncounted) == (FailureKind.NO_USAGE, "the stream has no usage")


def test_request_that_takes_too_long_is_given_up_and_its_connection_closed() -> None:
    gone: list[bool] = []

    def silent(server: Server, body: dict[str, Any], response: Response) -> None:
        response.on_disconnect = lambda: gone.append(True)

    assert failing(silent, timeout=0.2) == (FailureKind.TIMEOUT, "not finished within 0.2 s")
    assert gone == [True]


def test_run_ended_early_keeps_what_it_has_and_cancels_the_rest() -> None:
    def script(server: Server, body: dict[str, Any], response: Response) -> None:
        if len(server.bodies) <= 4:
            whole(server, body, response)

    server = Server(script)

    async def run() -> BenchResult:
        stop = asyncio.Event()

        def stop_when_stuck(tick: Tick) -> None:
            if tick.done == 4:
                stop.set()

        async with running(server):
            return await run_bench(
                [server.url],
                WORKLOAD,
                requests=50,
                concurrency=2,
                warmup=0,
                progress=stop_when_stuck,
                stop=stop,
            )

    result = asyncio.run(run())
    total = summarize(result).total

    assert result.interrupted
    assert (total.succeeded, total.errors) == (4, 0)
    assert total.unfinished == len(result.records) - 4 <= 2


def test_cancelled_run_leaves_no_request_behind() -> None:
    gone = asyncio.Event()

    def silent(server: Server, body: dict[str, Any], response: Response) -> None:
        response.on_disconnect = gone.set

    async def run() -> None:
        server = Server(silent)
        async with running(server):
            coroutine: Coroutine[Any, Any, BenchResult] = run_bench(
                [server.url], WORKLOAD, requests=1, concurrency=1, warmup=0
            )
            task = asyncio.create_task(coroutine)
            await asyncio.wait_for(server.arrived.wait(), 5)
            task.cancel()
            await asyncio.wait([task], timeout=5)
            assert task.cancelled()
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests": 0, "concurrency": 1}, "requests: 0"),
        ({"requests": 1, "concurrency": 0}, "concurrency: 0"),
        ({"requests": 1, "concurrency": 1, "timeout": 0.0}, "timeout: 0 s"),
        ({"requests": 1, "concurrency": 1, "warmup": -1}, "warmup: -1"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asyncio.run(run_bench(["http://127.0.0.1:1"], WORKLOAD, **options))


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "https://x:1", "http://", "http://x:99999", "http://x:1/api"]
)
def test_url_that_cannot_be_measured_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        asyncio.run(run_bench([url], WORKLOAD, requests=1, concurrency=1))


def test_no_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="no URL"):
        asyncio.run(run_bench([], WORKLOAD, requests=1, concurrency=1))
