"""Seconds of ``replicore plan``: from its start to the answer, and for all layouts of a node.

    python -m benchmarks.planner_speed

Each start is a new process; the first is not counted: it writes Python's bytecode cache, as an
install does. The layouts are those of 64 logical cores of trn2.48xlarge for an 8B model, of which
the tp from 1 to 32 can be run; the first answer is not counted there either.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.result_file import write_result
from replicore.deploy.deployment import prepare
from replicore.deploy.question import question_of
from replicore.planner.files.load import load_predictor
from replicore.planner.recommend import answer_of
from replicore.spec import load_spec

SPEC = Path(__file__).parent.parent / "examples" / "llama70b-trn2.toml"
SMALL = {
    "model.source": "meta-llama/Llama-3.1-8B-Instruct",
    "layout.max_model_len": "2048",
    "workload.input_tokens.mean": "1024",
}
TARGETS_S = {"answer": 0.6, "layouts": 0.1}


def answer_s() -> float:
    environ = {**os.environ}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "replicore", "plan", str(SPEC)],
        check=True,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def layouts_s(runs: int) -> tuple[int, list[float]]:
    """Return how many layouts there are, and the seconds of each run."""
    prepared = prepare(load_spec(SPEC, environ={}, overrides=SMALL), outline=True)
    question, predictor = question_of(prepared), load_predictor()
    count, seconds = len(answer_of(question, predictor).outcomes), []
    for _ in range(runs):
        began = time.perf_counter()
        answer_of(question, predictor)
        seconds.append(time.perf_counter() - began)
    return count, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    answer_s()
    answers = [answer_s() for _ in range(runs)]
    count, layouts = layouts_s(runs)
    rows = [
        {"what": "start to answer", "seconds": [round(value, 4) for value in answers]},
        {"what": f"{count} layouts", "seconds": [round(value, 4) for value in layouts]},
    ]
    settings = {
        "targets_s": TARGETS_S,
        "median_answer_s": round(statistics.median(answers), 4),
        "median_layouts_s": round(statistics.median(layouts), 4),
    }
    print(settings)
    print(write_result("planner_speed", rows, settings=settings, packages=["numpy", "pydantic"]))


if __name__ == "__main__":
    main()
