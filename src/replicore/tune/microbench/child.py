"""One process of the microbenchmark, on one core: reads questions from stdin, answers on stdout.

A question is one JSON object a line. It ends with its stdin, so it does not outlive who asks.
"""

from __future__ import annotations

import mmap
import os
import sys

import msgspec

from replicore.tune.microbench.collective import AllReduce, shared_bytes, typical
from replicore.tune.microbench.work import Arithmetic, Memory, rate


class ReadMemory(msgspec.Struct, frozen=True, tag="memory"):
    """Asks for bytes per second."""

    seconds: float
    vector_bytes: int


class Multiply(msgspec.Struct, frozen=True, tag="multiply"):
    """Asks for operations per second."""

    seconds: float


class Reduce(msgspec.Struct, frozen=True, tag="reduce"):
    """Asks for the seconds of an all-reduce in the memory of the file ``fd``."""

    fd: int
    rank: int
    ranks: int
    message_bytes: int
    repeats: int


Question = ReadMemory | Multiply | Reduce


def answer(question: Question) -> float:
    match question:
        case ReadMemory(seconds=seconds, vector_bytes=vector_bytes):
            return rate(Memory(vector_bytes), seconds)
        case Multiply(seconds=seconds):
            return rate(Arithmetic(), seconds)
        case Reduce():
            return _reduce(question)


def _reduce(question: Reduce) -> float:
    size = shared_bytes(question.ranks, question.message_bytes)
    memory = mmap.mmap(question.fd, size)
    one = AllReduce(memory, question.rank, question.ranks, question.message_bytes)
    return typical(one.times(question.repeats))


def main() -> None:
    """Pin this process to the core that is its argument, and answer until stdin ends."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    decoder, encoder = msgspec.json.Decoder(Question), msgspec.json.Encoder()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(encoder.encode(answer(decoder.decode(line))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
