"""Our gateway next to the other routers of the field, over the same mock engines.

    python -m benchmarks.gateway [--quick]
    python -m benchmarks.gateway --url http://127.0.0.1:8000 --pid PID --case nostream

Every run starts all routers and puts one after the other under each load, beginning with another
one each time. Client, engines and router share the machine, so what counts is the CPU time of the
router's processes. The second form measures a router that runs already.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks.gateway import cases, report, usage
from benchmarks.gateway.cases import CaseFailed
from benchmarks.gateway.peers import DEFAULT_FOLDER, NotInstalled
from benchmarks.gateway.routers import NotStarted, Router, Running, routers, running
from benchmarks.gateway.window import Figures, Target
from benchmarks.result_file import write_result

_OWNERS = ("vllm", "mock")
_ENGINES = 2
_QUICK = {"runs": 3, "seconds": 1.5}


@dataclass(frozen=True, slots=True)
class Engine:
    """A mock engine: its process, and its port for each owner that it pretends."""

    pid: int
    ports: dict[str, int]


@contextmanager
def mock_engine() -> Iterator[Engine]:
    argv = [sys.executable, "-m", "benchmarks.gateway.mock", *_OWNERS]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Engine(process.pid, {owner: int(process.stdout.readline()) for owner in _OWNERS})
        process.communicate(timeout=10)


class Bench:
    """Collects what is found.

    Attributes:
        found: Figures by router and case, of every run.
        left_out: Why a router, or one of its cases, is not in the table.
    """

    def __init__(self, engines: Sequence[Engine], peers: Path) -> None:
        self._engines = engines
        self._peers = peers
        self.found: dict[tuple[str, str], dict[int, Figures]] = {}
        self.left_out: dict[str, str] = {}

    def run(self, number: int, chosen: Sequence[Router], names: Sequence[str], s: float) -> None:
        """Start all routers and put them under every load, for ``s`` seconds each."""
        with ExitStack() as stack:
            started = [up for router in chosen if (up := self._start(router, stack))]
            for turn, name in enumerate(names, start=number):
                first = turn % len(started)
                for up in [*started[first:], *started[:first]]:
                    self._measure(number, up, name, s)

    def _start(self, router: Router, stack: ExitStack) -> Running | None:
        if router.name in self.left_out:
            return None
        try:
            return stack.enter_context(running(router, self._ports(router), self._peers))
        except (NotInstalled, NotStarted) as error:
            self._leave_out(router.name, error)
            return None

    def _measure(self, number: int, up: Running, name: str, seconds: float) -> None:
        router = up.router.name
        if f"{router} {name}" in self.left_out and (router, name) not in self.found:
            return
        if _stopped:
            sys.exit("stopped by a signal")
        target = Target(
            port=up.port,
            pids=usage.tree(up.pid) if up.pid is not None else [],
            engines=[engine.pid for engine in self._engines],
            engine_ports=self._ports(up.router),
            key=up.key,
            seconds=seconds,
        )
        try:
            figures = uvloop.run(cases.run(name, target))
        except (CaseFailed, OSError) as error:
            self._leave_out(f"{router} {name}", error)
            return
        self.found.setdefault((router, name), {})[number] = figures
        print(f"{number} {router:20} {_line(name, figures)}", file=sys.stderr)

    def _ports(self, router: Router) -> list[int]:
        return [engine.ports[router.owner] for engine in self._engines]

    def _leave_out(self, what: str, error: Exception) -> None:
        self.left_out[what] = str(error)
        print(f"{what}: left out: {error}", file=sys.stderr)


def compare(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Measure all routers, print the tables and write the result file."""
    chosen = [
        router for router in routers(options.set) if router.name in (options.only or [router.name])
    ]
    with ExitStack() as stack:
        engines = [stack.enter_context(mock_engine()) for _ in range(_ENGINES)]
        bench = Bench(engines, options.peers)
        for number in range(options.runs):
            bench.run(number, chosen, names, options.seconds)
    keys = [(router.name, name) for name in names for router in chosen]
    found = {key: bench.found[key] for key in keys if key in bench.found}
    settings: dict[str, object] = {
        "runs": options.runs,
        "seconds": options.seconds,
        "engines": _ENGINES,
        "clients": cases.CLIENTS,
        "routers": {router.name: _about(router) for router in chosen},
        "left_out": bench.left_out,
        "targets": report.targets_of(found),
        "targets_compiled": report.targets_of(found, ours=report.COMPILED),
        "targets_one_thread": report.targets_of(found, report.RUST_ONE_THREAD),
        "scaling": report.scaling_of(found, report.OURS, report.TWO_WORKERS),
    }
    print(report.text(found, bench.left_out))
    if not options.quick:
        rows = report.rows_of(found)
        print(write_result("gateway", rows, settings=settings, packages=["httptools", "uvloop"]))


def _about(router: Router) -> str:
    return f"{router.peer.requirement}: {router.note}" if router.peer else router.note


def measure_one(options: argparse.Namespace, names: Sequence[str]) -> None:
    """Put the router that runs at ``--url`` under the loads."""
    for _ in range(options.runs):
        for name in names:
            target = Target(
                port=urlsplit(options.url).port or 80,
                pids=usage.tree(options.pid) if options.pid is not None else [],
                engine_ports=options.engine,
                key=options.key,
                seconds=options.seconds,
            )
            print(_line(name, uvloop.run(cases.run(name, target))), flush=True)


def _line(name: str, figures: Figures) -> str:
    return f"{name:10}" + ", ".join(f"{key} {value:.4g}" for key, value in figures.items())


_stopped = False


def _stop(number: int, _: object) -> None:
    """End the program, but not without ending the routers."""
    global _stopped
    _stopped = True  # uvloop swallows what is raised in a protocol's callback
    sys.exit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured per run and case")
    parser.add_argument("--quick", action="store_true", help="short, and no result file")
    parser.add_argument("--case", action="append", choices=list(cases.CASES))
    parser.add_argument("--only", action="append", metavar="ROUTER")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of ours")
    parser.add_argument("--peers", type=Path, default=DEFAULT_FOLDER, help="the others' venvs")
    parser.add_argument("--url", help="measure only the router that runs here")
    parser.add_argument("--pid", type=int, help="its process")
    parser.add_argument("--key", default="none", help="its API key")
    parser.add_argument(
        "--engine", type=int, action="append", default=[], metavar="PORT", help="its engines"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    if options.quick:
        vars(options).update(_QUICK)
    names = options.case or list(cases.CASES)
    if options.url is not None:
        measure_one(options, names)
    else:
        compare(options, names)


if __name__ == "__main__":
    main()
