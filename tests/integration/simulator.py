"""A simulator in a process of its own, and plain HTTP to talk to it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Simulator:
    process: subprocess.Popen[str]
    host: str
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    def request(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Return the response, and its body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        with closing(connection):
            connection.request(method, path, body)
            response = connection.getresponse()
            return response, response.read()

    def post(self, path: str, **body: Any) -> Any:
        """Return the JSON answer to a JSON body."""
        return json.loads(self.request("POST", path, json.dumps(body).encode())[1])

    def complete(self, **body: Any) -> Any:
        """Return the first choice of a completion."""
        return self.post("/v1/completions", **{"prompt": "hello", **body})["choices"][0]

    def status_of(self, method: str, path: str, body: bytes | None = None) -> int:
        return self.request(method, path, body)[0].status

    def metric(self, name: str) -> float:
        """Return the value of the first sample that begins with ``vllm:<name>``."""
        text = self.request("GET", "/metrics")[1].decode()
        found = re.search(rf"^vllm:{re.escape(name)}[{{,].*}} (.*)$", text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    def open_stream(self, *, receive_buffer: int | None = None, **body: Any) -> socket.socket:
        """Ask for a stream on a connection of its own; nothing is read yet."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(TIMEOUT_S)
        sock.connect((self.host, self.port))
        data = json.dumps({"prompt": "hello", "stream": True, **body}).encode()
        head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        sock.sendall(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(data), data))
        return sock


@contextmanager
def simulator(*arguments: str) -> Iterator[Simulator]:
    """Run a simulator on a free port; it listens when this returns, and is killed at the end."""
    command = [sys.executable, "-m", "replicore.engines.sim", "--port=0", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip().rpartition("//")[2]
            host, _, port = address.rpartition(":")
            yield Simulator(process, host, int(port))
        finally:
            process.kill()


def eventually(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def read_all(sock: socket.socket) -> bytes:
    """Return everything up to the end of the connection."""
    return b"".join(iter(lambda: sock.recv(65_536), b""))


def read_until(sock: socket.socket, text: bytes, count: int = 1) -> bytes:
    """Return what came until ``text`` was in it ``count`` times."""
    received = b""
    while received.count(text) < count:
        data = sock.recv(65_536)
        assert data
        received += data
    return received
