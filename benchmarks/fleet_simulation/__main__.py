"""The simulated fleet: its speed, against queueing theory, and against real llama.cpp replicas.

    python -m benchmarks.fleet_simulation [--llamacpp]

Writes ``results/fleet_simulation.json``; with ``--llamacpp`` it measures real replicas instead, for
three quarters of an hour on two cores that nobody else uses, and writes
``results/fleet_simulation_llamacpp.json``.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fleet_simulation.llamacpp import ROUNDS, llamacpp_rows
from benchmarks.fleet_simulation.queues import SEEDS, queue_rows
from benchmarks.fleet_simulation.speed import REQUESTS, speed_rows
from benchmarks.result_file import RESULTS, Row, write_result

NAME = "fleet_simulation"


def simulated_rows(requests: int) -> Iterator[Row]:
    yield from speed_rows(requests)
    yield from queue_rows(requests // 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llamacpp", action="store_true", help="measure real replicas instead")
    parser.add_argument("--requests", type=int, help="of each run")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="for the result file")
    options = parser.parse_args()
    # As Ctrl-C ends it: what is deployed is stopped first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    requests = options.requests or (40 if options.llamacpp else REQUESTS)
    found = []
    for row in (llamacpp_rows if options.llamacpp else simulated_rows)(requests):
        found.append(row)
        print(json.dumps(row), flush=True)
    name = f"{NAME}_llamacpp" if options.llamacpp else NAME
    settings = {
        "requests": requests,
        **({"rounds": ROUNDS} if options.llamacpp else {"seeds": SEEDS}),
    }
    packages = ["replicore", "xllamacpp" if options.llamacpp else "numpy"]
    print(write_result(name, found, settings=settings, packages=packages, folder=options.folder))


if __name__ == "__main__":
    main()
