"""Our load generator next to the others of the field, over a mock whose answers are known.

    python -m benchmarks.bench_accuracy [--quick] [--only TOOL] [--llmperf PATH]

Every run gives each tool a mock of its own, one after the other, beginning with another one each
time. Client and mock share the machine, and the mock may be late itself: so errors are what the
tool says less what the mock sent, by its own account.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from benchmarks.bench_accuracy import report
from benchmarks.bench_accuracy.reading import Errors, NoResult, read_errors
from benchmarks.bench_accuracy.running import Failed, Ran, run_tool
from benchmarks.bench_accuracy.tokenizer import write_tokenizer
from benchmarks.bench_accuracy.tools import TOKENS, TOOLS, Checkout, Tool, tools
from benchmarks.gateway.peers import DEFAULT_FOLDER
from benchmarks.result_file import write_result
from replicore.bench.selfcheck.against_mock import truth_of
from replicore.bench.selfcheck.mock.server import Plan
from replicore.bench.selfcheck.selftest import (
    PaceRow,
    StreamsRow,
    TurnsRow,
    measure_pace,
    measure_streams,
    measure_turns,
)
from replicore.errors import ReplicoreError

PLAN = Plan(ttft_s=0.05, itl_s=0.01, tokens=TOKENS)
LEVELS = (1, 100, 500, 1000)
_WAVES = 3
_LEAST_REQUESTS = 10


class Bench:
    """Collects what is found.

    Attributes:
        found: Figures by row and number of streams, of every run.
        left_out: Why a tool, or a number of streams of it, is not in the table.
    """

    def __init__(self, tokenizer: Path, left_out: dict[str, str]) -> None:
        self._tokenizer = tokenizer
        self.found: dict[tuple[str, int], list[report.Figures]] = {}
        self.levels: list[StreamsRow] = []
        self.paces: list[PaceRow] = []
        self.turns: list[TurnsRow] = []
        self.left_out = left_out

    def run(self, number: int, chosen: Sequence[Tool], levels: Sequence[int]) -> None:
        """Put every tool under every number of streams once, then ours under the other loads."""
        for turn, streams in enumerate(levels, start=number):
            first = turn % len(chosen)
            for tool in [*chosen[first:], *chosen[:first]]:
                self._measure(tool, streams)
            self.levels.append(uvloop.run(measure_streams(streams)))
        self.paces.append(uvloop.run(measure_pace()))
        self.turns.append(uvloop.run(measure_turns()))

    def _measure(self, tool: Tool, streams: int) -> None:
        what = f"{tool.name} at {streams} streams"
        if what in self.left_out:
            return
        folder = Path(tempfile.mkdtemp())
        try:
            ran = asyncio.run(self._run(tool, streams, folder))
            errors = read_errors(tool, folder, truth_of(ran.mock), PLAN)
        except (Failed, NoResult, ReplicoreError) as error:
            self.left_out[what] = str(error)
            print(f"{what}: left out: {error}", file=sys.stderr)
            return
        finally:
            shutil.rmtree(folder)
        for row, found in errors.items():
            self.found.setdefault((row, streams), []).append(figures(found, ran))
            print(f"{row:20} {streams:5} {_line(found)}", file=sys.stderr)

    async def _run(self, tool: Tool, streams: int, folder: Path) -> Ran:
        return await run_tool(
            tool,
            PLAN,
            streams=streams,
            requests=max(_LEAST_REQUESTS, _WAVES * streams),
            folder=folder,
            tokenizer=self._tokenizer,
        )


def figures(errors: Errors, ran: Ran) -> report.Figures:
    mock = ran.mock
    return {
        "ttft_p50_ms": errors.ttft_p50_ms,
        "ttft_p99_ms": errors.ttft_p99_ms,
        "itl_p99_ms": errors.itl_p99_ms,
        "first_request_s": ran.first_request_s,
        "cpu_cores": ran.cpu_cores,
        "requests_at_mock": float(mock.streams),
        "most_in_flight": float(mock.most_in_flight),
        "held_share": mock.held_share,
        "mock_late_p99_ms": mock.late.p99_s * 1000,
        "mock_cores": mock.cpu_s / mock.busy_s if mock.busy_s else None,
    }


def _line(errors: Errors) -> str:
    return f"TTFT {errors.ttft_p50_ms:+.2f} ms, ITL p99 {errors.itl_p99_ms:+.2f} ms"


def main() -> None:
    options = _parser().parse_args()
    checkout = None
    if options.llmperf is not None:
        checkout = Checkout(options.llmperf, options.llmperf_python)
    chosen, left_out = tools(options.only, options.peers, checkout)
    for name, why in left_out.items():
        print(f"{name}: left out: {why}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(write_tokenizer(Path(name)), left_out)
        for number in range(1 if options.quick else options.runs):
            bench.run(number, chosen, options.streams or LEVELS)
    rows = report.rows_of(dict(sorted(bench.found.items(), key=lambda item: item[0][1])))
    targets = report.targets_of(bench.found, bench.levels, bench.paces, bench.turns)
    print(report.text(rows), report.text(targets), sep="\n\n")
    if not options.quick:
        settings: dict[str, object] = {
            "runs": options.runs,
            "plan": asdict(PLAN),
            "waves": _WAVES,
            "tools": {tool.name: tool.note for tool in chosen},
            "itl_of": {tool.name: tool.fields.itl_of for tool in chosen if tool.fields},
            "left_out": bench.left_out,
            "targets": targets,
            "selftest": [asdict(row) for row in bench.levels],
            "pace": [asdict(row) for row in bench.paces],
        }
        print(write_result("bench_accuracy", rows, settings=settings, packages=["uvloop"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one run, and no result file")
    parser.add_argument("--streams", type=int, action="append", metavar="N")
    parser.add_argument("--only", action="append", choices=TOOLS)
    parser.add_argument("--peers", type=Path, default=DEFAULT_FOLDER, help="the others' venvs")
    parser.add_argument("--llmperf", type=Path, help="a checkout of LLMPerf")
    parser.add_argument(
        "--llmperf-python", type=Path, default=Path(sys.executable), help="that can run it"
    )
    return parser


if __name__ == "__main__":
    main()
