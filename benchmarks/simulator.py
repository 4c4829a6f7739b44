"""How many streams one simulator process keeps up, and what a token costs it.

    python -m benchmarks.simulator

A client of its own holds all streams open and counts events; it stamps those of a few streams only
and empties the others ten times a second, so that it takes little of the machine. CPU time is the
simulator's, kernel included, from the system's own account: it says more than rates on a machine
that others use too. Writes ``results/simulator.json``.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import quantiles

import psutil

from benchmarks.result_file import Row, write_result

EVENT = b"data: "
STAMPED = 20
EMPTIED_EVERY_S = 0.1
# After every stream has begun, which must be within the longest.
WARM_UP_S = 2.0
LONGEST_START_S = 60.0
# So far beyond any rate that the last token is never reached.
TOKENS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row: so many streams at so many tokens a second each."""

    name: str
    streams: int
    rate: float
    options: tuple[str, ...] = ()
    body: Row = field(default_factory=dict)


CASES = (
    Case(name="independent", streams=2000, rate=50),
    Case(name="continuous", streams=2000, rate=50, options=("--batching=continuous",)),
    Case(name="static", streams=2000, rate=50, options=("--batching=static",)),
    Case(name="token ids", streams=2000, rate=50, body={"return_token_ids": True}),
    Case(name="few streams", streams=200, rate=50),
)


@contextmanager
def running(case: Case) -> Iterator[tuple[psutil.Process, int]]:
    """Run a simulator; yield its process and its port."""
    command = [sys.executable, "-m", "replicore.engines.sim", "--port=0"]
    command += [f"--slots={case.streams}", f"--max-model-len={2 * TOKENS}"]
    command += [f"--decode-tokens-per-s={case.rate}", "--prefill-tokens-per-s=1e7", *case.options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield psutil.Process(process.pid), int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.kill()


def open_stream(port: int, body: Row) -> socket.socket:
    data = json.dumps(
        {"prompt": "hello", "stream": True, "max_tokens": TOKENS, "ignore_eos": True, **body}
    ).encode()
    sock = socket.create_connection(("127.0.0.1", port))
    head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data)
    sock.sendall(head + data)
    sock.setblocking(False)
    return sock


class Client:
    """Reads all streams.

    Attributes:
        events: Read so far, of each stream.
        stamps: When the stamped streams had something to read, seconds.
    """

    def __init__(self, socks: Sequence[socket.socket]) -> None:
        self._socks = socks
        self._buffer = bytearray(1 << 20)
        self.events = [0] * len(socks)
        self.stamps: list[list[float]] = [[] for _ in socks[:STAMPED]]
        self._selector = selectors.DefaultSelector()
        for index, sock in enumerate(socks[:STAMPED]):
            self._selector.register(sock, selectors.EVENT_READ, index)

    def wait_for_all(self) -> None:
        """Read until every stream has begun."""
        end = time.monotonic() + LONGEST_START_S
        while not all(self.events):
            if time.monotonic() > end:
                raise SystemExit(f"{self.events.count(0)} streams did not begin")
            self.read_for(EMPTIED_EVERY_S)

    def read_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        next_emptied = 0.0
        while (now := time.monotonic()) < end:
            if now >= next_emptied:
                self._empty()
                next_emptied = now + EMPTIED_EVERY_S
            for key, _ in self._selector.select(timeout=next_emptied - now):
                self.stamps[key.data].append(time.monotonic())
                self._read(key.data)

    def close(self) -> None:
        self._selector.close()

    def _empty(self) -> None:
        for index in range(len(self.stamps), len(self._socks)):
            self._read(index)

    def _read(self, index: int) -> None:
        try:
            size = self._socks[index].recv_into(self._buffer)
        except BlockingIOError:
            return
        self.events[index] += self._buffer.count(EVENT, 0, size)


def measure(case: Case, seconds: float) -> Row:
    """Return what was measured of a case."""
    with running(case) as (process, port), ExitStack() as stack:
        socks = [stack.enter_context(open_stream(port, case.body)) for _ in range(case.streams)]
        client = Client(socks)
        stack.callback(client.close)
        client.wait_for_all()
        client.read_for(WARM_UP_S)
        for stamps in client.stamps:
            stamps.clear()
        events, cpu, started = list(client.events), process.cpu_times(), time.monotonic()
        client.read_for(seconds)
        took, used = time.monotonic() - started, process.cpu_times()
        counts = [after - before for after, before in zip(client.events, events, strict=True)]
        user, system = used.user - cpu.user, used.system - cpu.system
    return _row(case, counts, client.stamps, took, user, system)


def _row(
    case: Case,
    counts: Sequence[int],
    stamps: Sequence[Sequence[float]],
    took: float,
    user: float,
    system: float,
) -> Row:
    tokens = sum(counts)
    gaps = [after - before for each in stamps for before, after in pairwise(each)]
    centiles = quantiles(gaps, n=100)
    return {
        "case": case.name,
        "streams": case.streams,
        "asked_tokens_per_s": case.streams * case.rate,
        "tokens_per_s": round(tokens / took),
        "slowest_stream_tokens_per_s": round(min(counts) / took, 1),
        "cpu_us_per_token": round((user + system) / tokens * 1e6, 2),
        "of_it_kernel_us": round(system / tokens * 1e6, 2),
        "cores_busy": round((user + system) / took, 2),
        "gap_p50_ms": round(centiles[49] * 1000, 1),
        "gap_p99_ms": round(centiles[98] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--case", choices=[case.name for case in CASES], help="only this; no file")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = []
    for case in CASES:
        if given.case in (None, case.name):
            rows.append(measure(case, given.seconds))
            print(json.dumps(rows[-1]), flush=True)
    if given.case is None:
        settings = {"seconds": given.seconds, "stamped_streams": STAMPED}
        print(write_result("simulator", rows, settings=settings, packages=["replicore", "uvloop"]))


if __name__ == "__main__":
    main()
