"""The admin API over engines that are scripted handlers on real sockets, all in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from replicore.errors import DeploymentError
from replicore.gateway.observe.admin import Admin
from replicore.gateway.observe.metrics import Meter
from replicore.gateway.observe.scraping import Scraper
from replicore.gateway.observe.snapshot import Snapshot
from replicore.gateway.record import Explanation
from replicore.gateway.table import ReplicaRow, ReplicaStats, ReplicaTable, Stats
from replicore.http.fetch import Reply, fetch
from replicore.http.server import Handler, HttpServer, Request, Response, listen, serve
from replicore.unix_socket import listen_unix
from tests.integration.loops import run

TIMEOUT = 20.0
PAGE = b"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 1\n"
EXPLANATION = Explanation(request_id="a/b", prompt_tokens=9.0, output_tokens=4.0, choices=[])


@dataclass
class FakeFleet:
    """A fleet that knows what a test tells it."""

    rows: Sequence[ReplicaRow]
    meter: Meter = field(default_factory=Meter)
    known: Stats | None = None
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    def table(self) -> ReplicaTable:
        return ReplicaTable(model="m", replicas=tuple(self.rows))

    def stats(self) -> Stats | None:
        return self.known

    async def snapshot(self) -> Snapshot:
        self.asked.set()
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.meter.snapshot()

    async def explain(self, request_id: str) -> Explanation | None:
        return EXPLANATION if request_id == EXPLANATION.request_id else None

    def drain(self, name: str, drained: bool) -> None:
        if name not in [row.name for row in self.rows]:
            raise DeploymentError(f'there is no replica "{name}"')
        self.rows = [
            msgspec.structs.replace(row, drained=drained) if row.name == name else row
            for row in self.rows
        ]


@dataclass
class House:
    """An admin API over a fleet."""

    fleet: FakeFleet
    url: str

    async def get(self, path: str) -> Reply:
        return await fetch(self.url, "GET", path, timeout=TIMEOUT)

    async def post(self, path: str, *, body: bytes = b"{}") -> Reply:
        return await fetch(self.url, "POST", path, body=body, timeout=TIMEOUT)

    async def page(self) -> dict[tuple[str, str], float]:
        """Return the values of the metrics page by name and replica."""
        text = (await self.get("/metrics")).body.decode()
        return {
            (sample.name, sample.labels.get("replica", "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def status_of(self, *lines: str) -> int:
        """Send a request as it is written here and return the status of the answer."""
        port = int(self.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return int((await ask(reader, writer, *lines)).split()[1])


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *lines: str) -> bytes:
    writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def answering(status: int, body: bytes = b"") -> Handler:
    """An engine that answers every request so."""

    def answer(_request: Request, response: Response) -> None:
        response.send(status, body, content_type=b"text/plain")

    return answer


def silent(_request: Request, _response: Response) -> None:
    """An engine that never answers."""


def crashing(_request: Request, response: Response) -> None:
    """An engine that cuts every connection."""
    response.abort()


@contextlib.asynccontextmanager
async def house(
    *engines: Handler,
    scraper: Scraper | None = None,
    timeout_s: float = TIMEOUT,
    most_at_once: int = 8,
) -> AsyncIterator[House]:
    """Serve the admin API of replicas r0, r1 and so on, all ready."""
    async with contextlib.AsyncExitStack() as stack:
        rows = []
        for index, engine in enumerate(engines):
            url = await stack.enter_async_context(served(engine))
            rows.append(ReplicaRow(name=f"r{index}", endpoint=url, state="ready", slots=4))
        fleet = FakeFleet(rows)
        admin = Admin(fleet, scraper=scraper, timeout_s=timeout_s, most_at_once=most_at_once)
        stack.push_async_callback(admin.close)
        yield House(fleet, await stack.enter_async_context(served(admin.handle)))


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    sock = listen("127.0.0.1", 0)
    server: HttpServer = await serve(handler, sock=sock)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed(0.0)


def error_of(reply: Reply) -> tuple[int, str]:
    """Return status and code of an error in OpenAI's shape."""
    error: dict[str, Any] = json.loads(reply.body)["error"]
    assert error["message"]
    return reply.status, error["code"]


def test_metrics_page_has_ours_and_the_engines() -> None:
    async def test() -> None:
        async with house(answering(200, PAGE), answering(200, PAGE)) as here:
            here.fleet.meter.retried("r0", "connect")
            page = await here.page()

        assert page["replicore_retries_total", "r0"] == 1
        assert page["vllm:num_requests_running", "r0"] == 1
        assert page["vllm:num_requests_running", "r1"] == 1

    run(test)


def test_metrics_page_says_which_format_it_is_in() -> None:
    async def test() -> None:
        async with house() as here:
            reply = await here.get("/metrics")

        assert reply.headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"

    run(test)


@pytest.mark.parametrize(
    ("engine", "outcome"),
    [
        (answering(200, PAGE), "ok"),
        (answering(404), "absent"),
        (answering(501), "absent"),
        (answering(500), "error"),
        (answering(200, b"x" * (8 * 1024 * 1024 + 1)), "error"),
        (crashing, "error"),
        (silent, "error"),
    ],
    ids=["ok", "not found", "llama.cpp", "failing", "too large", "crashing", "silent"],
)
def test_page_comes_whatever_an_engine_does_and_how_it_went_is_counted(
    engine: Handler, outcome: str
) -> None:
    async def test() -> None:
        async with house(engine, answering(200, PAGE), scraper=Scraper(timeout_s=0.2)) as here:
            text = (await here.get("/metrics")).body.decode()

        assert f'\nreplicore_engine_scrapes_total{{replica="r0",outcome="{outcome}"}} 1\n' in text
        assert '\nvllm:num_requests_running{replica="r1"} 1\n' in text

    run(test)


def test_lines_of_an_engine_that_are_left_out_are_counted() -> None:
    async def test() -> None:
        async with house(answering(200, b"good 1\nbad\nreplicore_x 1\n\xff 1\n")) as here:
            page = await here.page()

        assert page["replicore_engine_lines_skipped_total", "r0"] == 3
        assert page["good", "r0"] == 1

    run(test)


def test_only_ready_replicas_are_asked() -> None:
    async def test() -> None:
        async with house(answering(200, PAGE)) as here:
            here.fleet.rows = [msgspec.structs.replace(here.fleet.rows[0], state="starting")]
            page = await here.page()

        assert ("vllm:num_requests_running", "r0") not in page

    run(test)


def test_scrapers_at_the_same_time_share_one_request_to_each_engine() -> None:
    async def test() -> None:
        asked: list[Response] = []
        arrived = asyncio.Event()

        def engine(_request: Request, response: Response) -> None:
            asked.append(response)
            arrived.set()

        async with house(engine) as here:
            scraper = Scraper()
            pages = [asyncio.ensure_future(scraper.page(here.fleet.rows)) for _ in range(2)]
            await arrived.wait()
            asked[0].send(200, PAGE)

            assert await pages[0] == await pages[1] != ""
            assert len(asked) == 1

    run(test)


def test_scraper_that_leaves_ends_the_work_for_it() -> None:
    async def test() -> None:
        async with house() as here:
            here.fleet.answering.clear()
            scrape = asyncio.ensure_future(here.get("/metrics"))
            await here.fleet.asked.wait()
            scrape.cancel()
            await here.fleet.cancelled.wait()

    run(test)


def test_admin_is_closed_while_an_engine_is_asked() -> None:
    async def test() -> None:
        asked = asyncio.Event()
        async with house(lambda _request, _response: asked.set()) as here:
            scrape = asyncio.ensure_future(here.get("/metrics"))
            await asked.wait()
        with contextlib.suppress(Exception):
            await scrape

        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test)


def test_fleet_that_does_not_answer_gives_503() -> None:
    async def test() -> None:
        async with house(timeout_s=0.05) as here:
            here.fleet.answering.clear()

            assert error_of(await here.get("/metrics")) == (503, "timeout")

    run(test)


def test_more_requests_than_are_answered_at_once_are_refused() -> None:
    async def test() -> None:
        async with house(most_at_once=1) as here:
            here.fleet.answering.clear()
            first = asyncio.ensure_future(here.get("/metrics"))
            await here.fleet.asked.wait()

            assert error_of(await here.get("/metrics")) == (503, "overloaded")
            here.fleet.answering.set()
            assert (await first).status == 200

    run(test)


def test_replicas_are_listed_with_state_and_counters() -> None:
    async def test() -> None:
        async with house(silent, silent) as here:
            r0 = ReplicaStats(outstanding=2, requests=9, errors=1)
            here.fleet.known = Stats(
                outstanding=2, queued=5, requests=9, errors=1, replicas={"r0": r0}
            )
            listed = json.loads((await here.get("/admin/replicas")).body)

        assert listed["model"] == "m"
        assert listed["queued"] == 5
        first, second = listed["replicas"]
        assert (first["name"], first["state"], first["slots"]) == ("r0", "ready", 4)
        assert (first["outstanding"], first["errors"], first["drained"]) == (2, 1, False)
        assert second["name"] == "r1"
        assert "outstanding" not in second

    run(test)


def test_explanation_is_found_by_the_requests_id() -> None:
    async def test() -> None:
        async with house() as here:
            reply = await here.get("/admin/requests/a%2Fb")

        assert msgspec.json.decode(reply.body, type=Explanation) == EXPLANATION

    run(test)


def test_unknown_request_is_404() -> None:
    async def test() -> None:
        async with house() as here:
            assert error_of(await here.get("/admin/requests/x")) == (404, "request_not_found")

    run(test)


@pytest.mark.parametrize(("verb", "drained"), [("drain", True), ("undrain", False)])
def test_replica_is_drained_and_undrained(verb: str, drained: bool) -> None:
    async def test() -> None:
        async with house(silent, silent) as here:
            here.fleet.drain("r1", not drained)
            reply = await here.post(f"/admin/replicas/r1/{verb}")

            assert reply.status == 200
            assert json.loads(reply.body)["drained"] is drained
            assert [row.drained for row in here.fleet.rows] == [False, drained]

    run(test)


def test_unknown_replica_cannot_be_drained() -> None:
    async def test() -> None:
        async with house(silent) as here:
            reply = await here.post("/admin/replicas/r7/drain")

            assert error_of(reply) == (404, "replica_not_found")

    run(test)


def test_health_says_how_many_replicas_are_ready() -> None:
    async def test() -> None:
        async with house(silent) as here:
            reply = await here.get("/healthz")

        assert (reply.status, json.loads(reply.body)) == (200, {"ready": 1, "replicas": 1})

    run(test)


@pytest.mark.parametrize("path", ["/", "/admin", "/admin/requests/", "/v1/models", "/metrics/x"])
def test_unknown_path_is_404(path: str) -> None:
    async def test() -> None:
        async with house() as here:
            assert error_of(await here.get(path)) == (404, "not_found")

    run(test)


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/admin/replicas/r0", "/admin/replicas/r0/kill", "/admin/replicas//drain/x"],
)
def test_post_to_what_takes_none_is_404(path: str) -> None:
    async def test() -> None:
        async with house(silent) as here:
            assert error_of(await here.post(path)) == (404, "not_found")

    run(test)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9000", 200),
        ("127.0.0.1:9000", 200),
        ("[::1]:9000", 200),
        ("[::1]", 200),
        ("evil.example", 403),
        ("evil.example:9000", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:9000", 403),
    ],
)
def test_only_names_of_this_machine_are_hosts(host: str, status: int) -> None:
    """Against DNS rebinding: a page's own name that resolves to loopback."""

    async def test() -> None:
        async with house() as here:
            assert await here.status_of("GET /healthz HTTP/1.1", f"host: {host}") == status

    run(test)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["content-type: application/json"], 200),
        (["content-type: application/json; charset=utf-8"], 200),
        ([], 415),
        (["content-type: text/plain"], 415),
        (["content-type: application/x-www-form-urlencoded"], 415),
        (["content-type: application/json", "origin: https://evil.example"], 403),
        (["content-type: application/json", "origin: null"], 403),
    ],
)
def test_change_that_a_web_page_can_ask_for_is_refused(fields: list[str], status: int) -> None:
    async def test() -> None:
        request = ["POST /admin/replicas/r0/drain HTTP/1.1", "host: localhost", "content-length: 0"]
        async with house(silent) as here:
            assert await here.status_of(*request, *fields) == status
            assert here.fleet.rows[0].drained is (status == 200)

    run(test)


def test_other_methods_are_refused_with_those_that_work() -> None:
    async def test() -> None:
        async with house() as here:
            reply = await fetch(here.url, "DELETE", "/admin/replicas", timeout=TIMEOUT)

            assert error_of(reply) == (405, "method_not_allowed")
            assert reply.headers[b"allow"] == b"GET, HEAD, POST"

    run(test)


def test_admin_is_served_on_a_unix_socket(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "admin.sock"
        admin = Admin(FakeFleet([]))
        with closing(listen_unix(path)) as sock:
            server = await serve(admin.handle, sock=sock)
            reader, writer = await asyncio.open_unix_connection(path)
            answer = await ask(reader, writer, "GET /metrics HTTP/1.1", "host: localhost")
            server.close()
            await server.wait_closed()
        await admin.close()

        assert re.match(rb"HTTP/1.1 200 ", answer)
        assert b"replicore_build_info" in answer

    run(test)
