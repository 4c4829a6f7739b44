"""The scraper against scripted servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from replicore.bench.record import ServerSample
from replicore.bench.selfcheck.scrape import Scraper
from replicore.http.address import url_of
from replicore.http.server import Handler, Request, Response, listen, serve

TIMEOUT_S = 30.0
PAGE = b'vllm:num_requests_running{model_name="m"} 4\nvllm:generation_tokens_total 7\n'
GATEWAY_PAGE = (
    b'vllm:num_requests_running{replica="r0"} 1\nvllm:num_requests_running{replica="r1"} 2\n'
)


@asynccontextmanager
async def running(handler: Handler) -> AsyncIterator[str]:
    sock = listen("127.0.0.1", 0)
    server = await serve(handler, sock=sock)
    try:
        yield url_of(sock)
    finally:
        server.close()
        await server.wait_closed(timeout=0)


class Answering:
    """Answers with one status and page, and tells when it was asked ``count`` times."""

    def __init__(self, status: int, page: bytes, *, count: int = 1) -> None:
        self.status = status
        self.page = page
        self.asked: list[Request] = []
        self.count = count
        self.enough = asyncio.Event()

    def __call__(self, request: Request, response: Response) -> None:
        self.asked.append(request)
        response.send(self.status, self.page)
        if len(self.asked) >= self.count:
            self.enough.set()


def scraped(
    status: int, page: bytes, *, count: int = 1, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> tuple[list[ServerSample], Answering, str]:
    """Scrape a server until it was asked ``count`` times; its clock goes on by 1 s a look."""

    async def run() -> tuple[list[ServerSample], Answering, str]:
        answering = Answering(status, page, count=count)
        async with asyncio.timeout(TIMEOUT_S), running(answering) as url:
            scraper = Scraper([url], 100.0, headers=headers, period_s=0.001, clock=_ticking(101.0))
            scraper.start()
            await answering.enough.wait()
            return await scraper.stop(), answering, url

    return asyncio.run(run())


def _ticking(start: float) -> Callable[[], float]:
    times = iter(range(1000))
    return lambda: start + next(times)


def test_scraper_takes_samples_until_it_is_stopped_and_one_at_the_end() -> None:
    samples, answering, url = scraped(200, PAGE, count=3)

    assert len(answering.asked) >= 3
    assert len(samples) >= 2
    assert [sample.at_s for sample in samples] == [1.0 + i for i in range(len(samples))]
    assert {sample.replica for sample in samples} == {url.removeprefix("http://")}
    assert (samples[0].running, samples[0].waiting, samples[0].output_tokens) == (4.0, None, 7.0)


def test_scraper_has_a_sample_for_each_replica_of_a_gateway() -> None:
    samples, _, _ = scraped(200, GATEWAY_PAGE, count=2)

    assert {(sample.replica, sample.running) for sample in samples} == {("r0", 1.0), ("r1", 2.0)}


def test_scraper_sends_the_headers_that_it_is_given() -> None:
    _, answering, _ = scraped(200, PAGE, headers=((b"authorization", b"Bearer secret"),))

    assert answering.asked[0].headers[b"authorization"] == b"Bearer secret"


def test_server_without_metrics_is_asked_once() -> None:
    async def run() -> tuple[list[ServerSample], int]:
        absent, present = Answering(501, b""), Answering(200, PAGE, count=3)
        async with (
            asyncio.timeout(TIMEOUT_S),
            running(absent) as nothing,
            running(present) as url,
        ):
            scraper = Scraper([nothing, url], 0.0, period_s=0.001)
            scraper.start()
            await absent.enough.wait()
            await present.enough.wait()
            samples = await scraper.stop()
        return [one for one in samples if one.replica in nothing], len(absent.asked)

    assert asyncio.run(run()) == ([], 1)


def test_server_that_is_not_there_costs_the_others_nothing() -> None:
    async def run() -> list[ServerSample]:
        answering = Answering(200, PAGE, count=2)
        async with asyncio.timeout(TIMEOUT_S), running(answering) as url:
            scraper = Scraper(["http://127.0.0.1:9", url], 0.0, period_s=0.001)
            scraper.start()
            await answering.enough.wait()
            return await scraper.stop()

    assert len(asyncio.run(run())) >= 1


def test_replica_has_the_name_that_its_endpoint_was_given() -> None:
    async def run() -> list[ServerSample]:
        answering = Answering(200, PAGE, count=2)
        async with asyncio.timeout(TIMEOUT_S), running(answering) as url:
            scraper = Scraper([url], 0.0, names={url: "r7"}, period_s=0.001)
            scraper.start()
            await answering.enough.wait()
            return await scraper.stop()

    assert {sample.replica for sample in asyncio.run(run())} == {"r7"}
