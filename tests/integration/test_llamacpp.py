"""A real llama.cpp replica with SmolLM2, started the way a keeper starts it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.engines.llamacpp import LlamaCpp
from replicore.errors import ReplicaStartError, UpstreamError
from replicore.http.fetch import fetch
from replicore.models.resolve import resolve
from replicore.spec import EngineSpec, ModelSpec

pytestmark = pytest.mark.engine

DEADLINE_S = 60.0
ENGINE = LlamaCpp(EngineSpec())


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port that stays bound and does not listen: the way the supervisor keeps one."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@contextlib.contextmanager
def plan_of_one_replica(cache: Path) -> Iterator[ReplicaPlan]:
    """A plan whose port is kept for as long as the block lasts."""
    with reserved_port() as port:
        yield ReplicaPlan(
            index=0,
            cores=CoreRange.of([max(os.sched_getaffinity(0))]),
            batch_size=2,
            max_model_len=1000,
            model=resolve(ModelSpec(), cache=cache),
            host="127.0.0.1",
            port=port,
        )


@pytest.fixture(name="plan", scope="module")
def make_plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaPlan]:
    with plan_of_one_replica(tmp_path_factory.mktemp("cache")) as plan:
        yield plan


@pytest.fixture(name="replica", scope="module")
def run_shared_replica(plan: ReplicaPlan) -> Iterator[subprocess.Popen[str]]:
    with running(plan) as process:
        until_ready(plan)
        yield process


@pytest.fixture(name="own_plan")
def make_own_plan(plan: ReplicaPlan) -> Iterator[ReplicaPlan]:
    """For a replica that the test itself starts and stops."""
    with reserved_port() as port:
        yield dataclasses.replace(plan, port=port)


@contextlib.contextmanager
def running(plan: ReplicaPlan, engine: LlamaCpp = ENGINE) -> Iterator[subprocess.Popen[str]]:
    command = engine.command(plan)
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, command.affinity or ours)
    try:
        process = subprocess.Popen(
            command.argv, env=os.environ | command.env, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.sched_setaffinity(0, ours)
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    """Ask again until ``condition`` holds; fail after a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until_ready(plan: ReplicaPlan) -> None:
    def is_ready() -> bool:
        with contextlib.suppress(UpstreamError):
            asyncio.run(ENGINE.check_ready(plan))
            return True
        return False

    until(is_ready)


def get(plan: ReplicaPlan, path: str) -> bytes:
    return asyncio.run(fetch(plan.endpoint, "GET", path, timeout=DEADLINE_S)).body


def open_stream(plan: ReplicaPlan, prompt: str, *, max_tokens: int) -> socket.socket:
    """Send a streaming request and return its connection, nothing read yet."""
    request = {"prompt": prompt, "max_tokens": max_tokens, "stream": True, "return_progress": True}
    body = json.dumps(request | {"ignore_eos": True}).encode()
    stream = socket.create_connection((plan.host, plan.port), timeout=DEADLINE_S)
    head = "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    stream.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return stream


def busy_slots(plan: ReplicaPlan) -> int:
    return sum(slot["is_processing"] for slot in json.loads(get(plan, "/slots")))


def prompt_tokens_done(plan: ReplicaPlan) -> int:
    """Return how many tokens of prompts the replica has worked through."""
    name, value = b"llamacpp:prompt_tokens_total ", b""
    for line in get(plan, "/metrics").splitlines():
        if line.startswith(name):
            value = line.removeprefix(name)
    return int(value)


@pytest.mark.usefixtures("replica")
def test_another_batch_size_than_planned_is_found(plan: ReplicaPlan) -> None:
    with pytest.raises(ReplicaStartError, match=r"layout.batch_size: .* with 3; found 2"):
        asyncio.run(ENGINE.check_ready(dataclasses.replace(plan, batch_size=3)))


@pytest.mark.usefixtures("replica")
def test_another_context_than_planned_is_found(plan: ReplicaPlan) -> None:
    with pytest.raises(ReplicaStartError, match=r"layout.max_model_len: .* 2048; found 1024"):
        asyncio.run(ENGINE.check_ready(dataclasses.replace(plan, max_model_len=2048)))


@pytest.mark.usefixtures("replica")
def test_another_model_than_planned_is_found(plan: ReplicaPlan) -> None:
    model = dataclasses.replace(plan.model, served_name="other")

    with pytest.raises(ReplicaStartError, match=r"model.served_name: .*smollm2-135m"):
        asyncio.run(ENGINE.check_ready(dataclasses.replace(plan, model=model)))


def test_every_thread_is_within_the_range(
    plan: ReplicaPlan, replica: subprocess.Popen[str]
) -> None:
    tasks = Path(f"/proc/{replica.pid}/task").glob("*/status")
    allowed = {
        line.split()[1]
        for task in tasks
        for line in task.read_text().splitlines()
        if line.startswith("Cpus_allowed_list:")
    }

    assert allowed == {str(plan.cores)}


def test_memory_is_within_the_planned(plan: ReplicaPlan, replica: subprocess.Popen[str]) -> None:
    planned = ENGINE.memory_bytes(
        plan.model.shape,
        tp=plan.tp,
        batch_size=plan.batch_size,
        max_model_len=plan.max_model_len,
    )
    found = psutil.Process(replica.pid).memory_info().rss

    assert found < planned


@pytest.mark.usefixtures("replica")
def test_health_answers_beside_100_open_streams(plan: ReplicaPlan) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(open_stream(plan, "Hello", max_tokens=500))
        until(lambda: busy_slots(plan) == plan.batch_size)

        assert get(plan, "/health") == b'{"status":"ok"}'

    until(lambda: busy_slots(plan) == 0)


@pytest.mark.usefixtures("replica")
def test_disconnect_during_prefill_frees_the_slot(plan: ReplicaPlan) -> None:
    before = prompt_tokens_done(plan)
    with open_stream(plan, "word " * 900, max_tokens=1) as stream:
        received = b""
        while b"prompt_progress" not in received:
            received += stream.recv(65536)
    until(lambda: busy_slots(plan) == 0)

    assert prompt_tokens_done(plan) - before < 900 / 2


def test_sigterm_during_generation_exits_with_0(own_plan: ReplicaPlan) -> None:
    with running(own_plan) as process:
        until_ready(own_plan)
        with open_stream(own_plan, "Hello", max_tokens=900) as stream:
            assert b"200 OK" in stream.recv(65536)
            process.terminate()

            assert process.wait(timeout=DEADLINE_S) == 0


def test_unreadable_model_exits_with_1_and_says_why(own_plan: ReplicaPlan, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    model = dataclasses.replace(own_plan.model, path=broken)

    with running(dataclasses.replace(own_plan, model=model)) as process:
        _, log = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 1
    assert log.splitlines()[-1].startswith(f"cannot serve {broken}")


def test_log_does_not_hold_prompts(own_plan: ReplicaPlan) -> None:
    bodies = (
        b'{"prompt": "very secret", "max_tokens": 1}',
        b'{"prompt": "very secret", broken',
        b'{"prompt": {"very": "secret"}}',
        b'{"prompt": "%s"}' % (b"secret " * 2000),
    )
    with running(own_plan) as process:
        until_ready(own_plan)
        for body in bodies:
            asyncio.run(fetch(own_plan.endpoint, "POST", "/v1/completions", body=body, timeout=60))
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE_S)

    assert log.startswith("serving ")
    assert "secret" not in log
