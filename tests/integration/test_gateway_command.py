"""``replicore gateway``: the front door alone, over engines that somebody else runs."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from replicore.http.client import Reply, fetch
from tests.integration.simulator import Simulator, eventually, simulator

TIMEOUT_S = 20.0


@contextmanager
def gateway(*arguments: str) -> Iterator[str]:
    """Run a gateway on any free port; yield its URL, without ``/v1``."""
    command = [sys.executable, "-m", "replicore", "gateway", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("ready http://127.0.0.1:")
            yield ready.split()[1].removesuffix("/v1")
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


@contextmanager
def two_engines(*arguments: str) -> Iterator[tuple[str, list[Simulator]]]:
    """Two simulators behind a gateway; yield the gateway's URL and the simulators."""
    with ExitStack() as stack:
        engines = [stack.enter_context(simulator("--model", "m")) for _ in range(2)]
        flags = [flag for engine in engines for flag in ("--endpoint", engine.endpoint)]
        yield stack.enter_context(gateway(*flags, *arguments)), engines


def complete(url: str, **body: object) -> Reply:
    data = json.dumps({"prompt": "hello", "max_tokens": 2, **body}).encode()
    return asyncio.run(fetch(url, "POST", "/v1/completions", body=data, timeout=TIMEOUT_S))


def both_are_ready(url: str) -> bool:
    health = asyncio.run(fetch(url, "GET", "/health", timeout=TIMEOUT_S))
    return bool(json.loads(health.body)["ready"] == 2)


def test_it_serves_the_model_of_its_engines() -> None:
    with two_engines() as (url, _):
        models = asyncio.run(fetch(url, "GET", "/v1/models", timeout=TIMEOUT_S))

    card = json.loads(models.body)["data"][0]
    assert (card["id"], card["simulated"]) == ("m", True)


def test_both_engines_get_requests() -> None:
    with two_engines() as (url, _):
        eventually(lambda: both_are_ready(url))
        replicas = {complete(url).headers[b"x-replicore-replica"] for _ in range(4)}

    assert replicas == {b"r0", b"r1"}


def test_an_engine_that_dies_is_not_noticed() -> None:
    with two_engines() as (url, engines):
        eventually(lambda: both_are_ready(url))
        engines[0].process.kill()
        engines[0].process.wait(TIMEOUT_S)
        replies = [complete(url) for _ in range(6)]

    assert [reply.status for reply in replies] == [200] * 6
    assert {reply.headers[b"x-replicore-replica"] for reply in replies} == {b"r1"}
