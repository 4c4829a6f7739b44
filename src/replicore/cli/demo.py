"""``replicore demo``: serve a real model as replicas, talk to it, and measure the layouts."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console

from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.record import BenchResult
from replicore.bench.report.layouts import LayoutRow, layouts_table, verdict
from replicore.bench.report.live import shown_progress
from replicore.bench.report.notes import notes
from replicore.bench.results import document, environment, write_file
from replicore.bench.runner import run_bench
from replicore.bench.stats.summary import Summary, summarize
from replicore.deploy.deployment import Deployment, plan_deployment
from replicore.deploy.state import state_root
from replicore.deploy.supervisor import Supervisor, running
from replicore.engines.create import create_engine
from replicore.errors import ReplicoreError, UpstreamError
from replicore.hardware.machine import Machine
from replicore.http.fetch import fetch
from replicore.spec import Spec, load_spec
from replicore.wording import pluralize

QUESTION = "In one sentence: why is the sky blue?"

# Slots over all replicas of a layout: the same for all, so that each gets the same load.
_SLOTS = 8
_MAX_MODEL_LEN = 1024
_MOST_LAYOUTS = 4
_READY_TIMEOUT_S = 120.0
_CHAT_TIMEOUT_S = 120.0

Results = Annotated[Path, typer.Option(help="Folder for the results.")]
Requests = Annotated[int, typer.Option("-n", "--requests", min=1, help="Requests per layout.")]


def demo(results: Results = Path("results"), requests: Requests = 48) -> None:
    """Serve a real model, chat with it, compare layouts, stop."""
    try:
        uvloop.run(_Demo(results, requests).run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Abort from None


@dataclass(frozen=True, slots=True)
class _Measured:
    """A layout by its name for people (``2 × 1 core``) and for files (``2x1``), and its run."""

    name: str
    label: str
    result: BenchResult
    summary: Summary


class _Demo:
    def __init__(self, folder: Path, requests: int) -> None:
        self._folder = folder
        self._requests = requests
        self._console = Console(highlight=False, soft_wrap=True)
        self._machine = create_engine(load_spec(None, environ={}).engine).detect()
        self._cores = self._machine.core_limit
        self._started_at = datetime.now(UTC).astimezone()

    async def run(self) -> None:
        self._say(machine_line(self._machine))
        with _stopped_by_sigterm():
            measured = [await self._try(count) for count in replica_counts(self._cores)]
        rows = [LayoutRow(one.name, one.summary) for one in measured]
        self._console.print()
        self._console.print(layouts_table(rows))
        path = self._write(measured, verdict(rows))
        self._say(f"results: {path}")
        check_answered(rows)

    async def _try(self, replicas: int) -> _Measured:
        """Serve one layout and measure it; the first one also answers a question."""
        deployment = plan_deployment(_spec(replicas, self._cores // replicas))
        layout = deployment.layout
        name = f"{layout.replicas} × {pluralize(layout.tp, 'core')}"
        started = time.monotonic()
        async with running(deployment) as supervisor:
            await supervisor.wait_ready(_READY_TIMEOUT_S)
            self._say_ready(name, deployment, supervisor, time.monotonic() - started)
            if replicas == replica_counts(self._cores)[0]:
                await self._chat(supervisor, deployment.model.served_name)
            result = await self._measure(name, supervisor.url)
        # Kept only if something failed: its logs then tell what.
        shutil.rmtree(state_root() / deployment.name, ignore_errors=True)
        return _Measured(name, f"{layout.replicas}x{layout.tp}", result, summarize(result))

    async def _chat(self, supervisor: Supervisor, model: str) -> None:
        messages = [{"role": "user", "content": QUESTION}]
        body = {"model": model, "messages": messages, "max_tokens": 48, "temperature": 0}
        started = time.monotonic()
        reply = await fetch(
            supervisor.url,
            "POST",
            "/v1/chat/completions",
            body=msgspec.json.encode(body),
            timeout=_CHAT_TIMEOUT_S,
        )
        if reply.status != 200:
            raise UpstreamError(f"the chat completion failed with {reply.status}: {reply.body!r}")
        answer = msgspec.json.decode(reply.body)
        replica = reply.headers[b"x-replicore-replica"].decode()
        tokens = answer["usage"]["completion_tokens"]
        self._say(f"  you    {QUESTION}")
        self._say(f"  model  {answer['choices'][0]['message']['content'].strip()}")
        self._say(f"         ({replica}, {tokens} tokens in {time.monotonic() - started:.1f} s)")

    async def _measure(self, name: str, url: str) -> BenchResult:
        workload = Workload(
            input_tokens=Lengths(64, 8), output_tokens=Lengths(32, 4), seed=0, ignore_eos=True
        )
        with shown_progress(name) as progress:
            return await run_bench(
                [url], workload, requests=self._requests, concurrency=_SLOTS, progress=progress
            )

    def _say_ready(
        self, name: str, deployment: Deployment, supervisor: Supervisor, took_s: float
    ) -> None:
        self._say(
            f"{name}: {deployment.model.served_name} ready in {took_s:.1f} s at {supervisor.url}/v1"
        )
        for replica in supervisor.replicas:
            self._say(f"  {replica.name} on cores {replica.cores}, pid {replica.pid}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False)

    def _write(self, measured: Sequence[_Measured], said: str) -> Path:
        """Write one file for the comparison and one for each run; return the first one's path."""
        stamp = self._started_at.strftime("%Y%m%dT%H%M%S")
        command = ["replicore", *sys.argv[1:]]
        files = {}
        for one in measured:
            path = self._folder / f"demo-{stamp}-{one.label}.json"
            lines = notes(one.result, one.summary)
            write_file(
                path, document(one.label, one.result, one.summary, command=command, notes=lines)
            )
            files[one.label] = path.name
        comparison = {
            "schema": "replicore-demo/1",
            "command": command,
            "date": self._started_at.isoformat(timespec="seconds"),
            "environment": environment(),
            "verdict": said,
            "layouts": {one.label: one.summary for one in measured},
            "files": files,
        }
        path = self._folder / f"demo-{stamp}.json"
        write_file(path, msgspec.json.format(msgspec.json.encode(comparison)) + b"\n")
        return path


def machine_line(machine: Machine) -> str:
    """Return the machine's name, its usable cores and the limits found, for people."""
    usable = f"{pluralize(len(machine.cores), 'usable core')} ({machine.cores})"
    return "; ".join(filter(None, (f"{machine.name}, {usable}", machine.note)))


def check_answered(rows: Sequence[LayoutRow]) -> None:
    """Check that each layout was measured.

    Raises:
        ReplicoreError: All requests to one failed.
    """
    dead = [row.layout for row in rows if not row.summary.total.succeeded]
    if dead:
        raise ReplicoreError(f"none of the requests to {', '.join(dead)} was answered")


def replica_counts(cores: int) -> list[int]:
    """Return how many replicas each layout has: two first, then one, then more up to one a core.

    Only counts that divide the cores, at most four of them, so that every layout uses all cores.

    >>> replica_counts(2), replica_counts(8), replica_counts(3), replica_counts(1)
    ([2, 1], [2, 1, 4, 8], [3, 1], [1])
    """
    counts = [count for count in range(1, cores + 1) if cores % count == 0]
    chosen = sorted({*counts[: _MOST_LAYOUTS - 1], counts[-1]})
    first = chosen[1] if len(chosen) > 1 else chosen[0]
    return [first, *(count for count in chosen if count != first)]


def _spec(replicas: int, tp: int) -> Spec:
    """Return the empty spec with this layout, on any free port."""
    layout = {
        "name": f"demo-{os.getpid()}",
        "layout.replicas": str(replicas),
        "layout.tp": str(tp),
        "layout.batch_size": str(-(-_SLOTS // replicas)),
        "layout.max_model_len": str(_MAX_MODEL_LEN),
        "gateway.port": "0",
    }
    return load_spec(None, environ={}, overrides=layout)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: cancel, so that everything is stopped on the way out."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    yield
    loop.remove_signal_handler(signal.SIGTERM)
