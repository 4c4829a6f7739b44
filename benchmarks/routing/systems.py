"""What is measured: replicas, and a front door with a policy before them.

Every run has a deployment of its own, so no policy finds a prefix cache that another one filled.
The deployment's own gateway has the policy; ``vllm-router`` goes past it, straight to the replicas.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.gateway.peers import DEFAULT_FOLDER, VLLM_ROUTER, python_of
from benchmarks.routing.workload import REAL, SIMULATED, Workload
from replicore.deploy import control

VLLM_CACHE_AWARE = "vllm-router cache_aware"
POLICIES = (
    "least_work",
    "least_outstanding",
    "round_robin",
    "random",
    "power_of_two",
    "consistent_hash",
    "prefix_affinity",
    VLLM_CACHE_AWARE,
)

_TIMEOUT_S = 120.0
_NAME = "routing"

# An accelerator's shape: prefill is a hundred times as fast as one sequence's decode, which a
# batch hardly slows down; four slots, as in the tutorial. Slow enough for 16 of them on two cores.
_SIMULATOR = (
    "engine.kind=sim",
    "engine.sim.cores=64",
    "engine.sim.prefix_cache=true",
    "engine.sim.prefill_tokens_per_s=4000",
    "engine.sim.decode_tokens_per_s=40",
    "engine.sim.decode_batch_slope=0.05",
    "layout.batch_size=4",
    "layout.max_model_len=4096",
)
_LLAMACPP = ("engine.kind=llamacpp", 'engine.args=["--endpoint-metrics"]', "layout.batch_size=4")


@dataclass(frozen=True, slots=True)
class System:
    """A kind of replica, how many of them, and what they are asked."""

    name: str
    replicas: int
    settings: Sequence[str]
    workloads: Sequence[Workload]


SYSTEMS = (
    System("llamacpp-2", 2, _LLAMACPP, REAL),
    *(System(f"sim-{count}", count, _SIMULATOR, SIMULATED) for count in (2, 4, 8, 16)),
)


@dataclass(frozen=True, slots=True)
class Running:
    """A front door that serves.

    Attributes:
        url: Of the front door.
        engines: URLs of the replicas themselves.
    """

    url: str
    model: str
    engines: list[str]

    def output_tokens(self) -> list[float]:
        """Return the tokens that each replica has made since it started."""
        return [_output_tokens(engine) for engine in self.engines]


@contextmanager
def running(system: System, policy: str) -> Iterator[Running]:
    """Start replicas and the front door."""
    own = "round_robin" if policy == VLLM_CACHE_AWARE else policy
    with _deployment(system, own) as deployment:
        if policy != VLLM_CACHE_AWARE:
            yield deployment
            return
        with _vllm_router(deployment.engines) as url:
            yield Running(url, deployment.model, deployment.engines)


@contextmanager
def _deployment(system: System, policy: str) -> Iterator[Running]:
    settings = [*system.settings, f"gateway.policy={policy}", "gateway.queue_timeout=100s"]
    argv = [
        *(sys.executable, "-m", "replicore", "up", "--name", _NAME, "--port", "0", "--tp", "1"),
        *("--replicas", str(system.replicas)),
        *(word for setting in settings for word in ("--set", setting)),
    ]
    with (
        tempfile.TemporaryDirectory() as state,
        (Path(state) / "stderr").open("w+") as errors,
        subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "REPLICORE_STATE_DIR": state},
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise RuntimeError(Path(errors.name).read_text())
        try:
            status = control.status(Path(state) / _NAME)
            engines = [replica.endpoint for replica in status.replicas]
            yield Running(line.split()[1].removesuffix("/v1"), status.model, engines)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_TIMEOUT_S)


@contextmanager
def _vllm_router(engines: Sequence[str]) -> Iterator[str]:
    python = python_of(VLLM_ROUTER, DEFAULT_FOLDER)
    port = _free_port()
    argv = [
        *(str(python), "-m", "vllm_router.launch_router", "--policy", "cache_aware"),
        *("--host", "127.0.0.1", "--port", str(port), "--worker-urls", *engines),
        *("--log-level", "warning", "--prometheus-port", str(_free_port())),
    ]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _TIMEOUT_S
            while not _is_ready(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(log.read())
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(_TIMEOUT_S)


def _is_ready(port: int) -> bool:
    try:
        return _get("127.0.0.1", port, "/v1/models")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _output_tokens(engine: str) -> float:
    """Return vLLM's or llama.cpp's own count of output tokens."""
    address = urlsplit(engine)
    _, body = _get(str(address.hostname), address.port or 80, "/metrics")
    names = r"^(?:vllm:generation_tokens_total|llamacpp:tokens_predicted_total)(?:{.*})? (\S+)$"
    return sum(float(value) for value in re.findall(names, body, re.MULTILINE))


def _get(host: str, port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
