"""``replicore gateway``: the front door alone, over engines that somebody else runs."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from replicore.http.client import Reply, fetch
from tests.integration.simulator import Simulator, eventually, simulator

TIMEOUT_S = 20.0


@contextmanager
def gateway(*arguments: str, heard: bool = True) -> Iterator[str]:
    """Run a gateway on any free port; yield its URL, without ``/v1``.

    Args:
        heard: Whether its output is read on after the ``ready`` line.
    """
    command = [sys.executable, "-m", "replicore", "gateway", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = next(line for line in process.stdout if line.startswith("ready "))
            if not heard:
                process.stdout.close()
            yield ready.split()[1].removesuffix("/v1")
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


@contextmanager
def two_engines(*arguments: str, heard: bool = True) -> Iterator[tuple[str, list[Simulator]]]:
    """Two simulators behind a gateway; yield the gateway's URL and the simulators."""
    with ExitStack() as stack:
        engines = [stack.enter_context(simulator("--model", "m")) for _ in range(2)]
        flags = [flag for engine in engines for flag in ("--endpoint", engine.endpoint)]
        yield stack.enter_context(gateway(*flags, *arguments, heard=heard)), engines


def complete(url: str, **body: object) -> Reply:
    data = json.dumps({"prompt": "hello", "max_tokens": 2, **body}).encode()
    return asyncio.run(fetch(url, "POST", "/v1/completions", body=data, timeout=TIMEOUT_S))


def ready_engines(url: str) -> int:
    health = asyncio.run(fetch(url, "GET", "/health", timeout=TIMEOUT_S))
    return int(json.loads(health.body)["ready"])


def test_it_serves_the_model_of_its_engines() -> None:
    with two_engines() as (url, _):
        models = asyncio.run(fetch(url, "GET", "/v1/models", timeout=TIMEOUT_S))

    card = json.loads(models.body)["data"][0]
    assert (card["id"], card["simulated"]) == ("m", True)


def test_both_engines_get_requests() -> None:
    with two_engines() as (url, _):
        eventually(lambda: ready_engines(url) == 2)
        replicas = {complete(url).headers[b"x-replicore-replica"] for _ in range(4)}

    assert replicas == {b"r0", b"r1"}


def test_an_engine_that_dies_is_not_noticed() -> None:
    with two_engines() as (url, engines):
        eventually(lambda: ready_engines(url) == 2)
        engines[0].process.kill()
        engines[0].process.wait(TIMEOUT_S)
        replies = [complete(url) for _ in range(6)]

    assert [reply.status for reply in replies] == [200] * 6
    assert {reply.headers[b"x-replicore-replica"] for reply in replies} == {b"r1"}


def test_it_serves_on_when_nobody_reads_what_it_prints() -> None:
    with two_engines(heard=False) as (url, engines):
        eventually(lambda: ready_engines(url) == 2)
        engines[0].process.kill()
        engines[0].process.wait(TIMEOUT_S)
        eventually(lambda: ready_engines(url) == 1)

        assert complete(url).status == 200


def test_url_of_an_ipv6_address_has_brackets() -> None:
    with (
        simulator("--model", "m") as engine,
        gateway("--endpoint", engine.endpoint, "--host", "::1") as url,
    ):
        assert url.startswith("http://[::1]:")
        assert complete(url).status == 200


def test_a_spec_can_name_the_engines(tmp_path: Path) -> None:
    with simulator("--model", "m") as engine:
        spec = tmp_path / "remote.toml"
        endpoints = (
            f'[engine]\nkind = "remote"\n[engine.remote]\nendpoints = ["{engine.endpoint}"]\n'
        )
        spec.write_text(endpoints + "[layout]\nbatch_size = 1\n")
        with gateway(str(spec)) as url:
            reply = complete(url)

    assert reply.status == 200
