"""The processes of the microbenchmark, one on each core."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from replicore.errors import ReplicoreError
from replicore.tune.microbench.child import Question

# A process is one core: the libraries under numpy must not start threads of their own.
_ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


class Workers:
    """Processes that do the same at the same time; :func:`workers` makes them."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self.processes = processes

    def ask(self, questions: Sequence[Question]) -> list[float]:
        """Ask the first processes a question each, all at once, and return their answers.

        Raises:
            ReplicoreError: One of them ended.
        """
        asked = list(zip(self.processes, questions, strict=False))
        for process, question in asked:
            _write(process, question)
        return [_read(process) for process, _ in asked]


@contextmanager
def workers(cores: Iterable[int], *, fds: Sequence[int] = ()) -> Iterator[Workers]:
    """Run a process on each core for the length of the block.

    Args:
        fds: Open files that they inherit.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(_process(core, fds)) for core in cores]
        try:
            yield Workers(processes)
        finally:
            for process in processes:
                process.kill()


def _process(core: int, fds: Sequence[int]) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "replicore.tune.microbench.child", str(core)]
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | _ONE_THREAD,
        pass_fds=fds,
    )


def _write(process: subprocess.Popen[bytes], question: Question) -> None:
    if process.stdin is None:
        raise ReplicoreError("the microbenchmark's process has no stdin")
    try:
        process.stdin.write(msgspec.json.encode(question) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        raise _ended(process) from None


def _read(process: subprocess.Popen[bytes]) -> float:
    line = process.stdout.readline() if process.stdout is not None else b""
    if not line:
        raise _ended(process)
    return msgspec.json.decode(line, type=float)


def _ended(process: subprocess.Popen[bytes]) -> ReplicoreError:
    return ReplicoreError(
        f"a process of the microbenchmark ended with code {process.wait()}, so this machine's "
        "cores could not be measured",
        hint="`replicore tune --no-microbench` goes on with what is guessed of them",
    )
