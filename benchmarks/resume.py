"""What ``kill -9`` of an engine does to a hundred open streams on two replicas.

    python -m benchmarks.resume [--runs 20]

Each run: all streams are open and have had some tokens, one engine is killed, and every stream is
compared with what it was without a kill. ``gap`` is the longest silence in a stream that was open
at the killed engine, beyond its usual one. It has the prefill of all that is continued in it, on a
replica that works on its own half, so ``fresh_ttft`` is given beside it: as many new requests of
the same lengths, sent to an engine under the same load, without a gateway. What the gateway adds
is the difference; the target is 1 s at most. Prompts are not cached, so prefill is never skipped.

Where the engine's text depends on what else is in its batch (llama.cpp's does, in the last digits)
no two runs are the same: ``identical_unharmed`` is the share of equal texts of two runs in which
nothing was killed.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.result_file import write_result
from replicore.deploy import control
from replicore.http.client import Pool
from tests.chaos.streams import (
    CHAT,
    COMPLETIONS,
    Ask,
    Stream,
    ask,
    kill_engine,
    resumed,
    run_streams,
    until,
)
from tests.integration.deployment import SIMULATED, Up, eventually, up

STREAMS = 100
AFTER_EVENTS = 4
COMPARED_EVERY = 5
PROMPTS_AT_ONCE = 8
PROMPT_TOKENS_OUT = 64
TARGET_S = 1.0

# Between two runs: the other replica is killed once this one has all its slots again.
SLOW_START_S = 5.0

COMMON = (
    *("--set", f"layout.batch_size={STREAMS}"),
    *("--set", "supervisor.backoff_initial=100ms"),
    *("--set", "supervisor.stable_after=1s"),
    *("--set", "supervisor.max_failures=1000"),
)
ENGINES = {
    "sim": (*SIMULATED, *COMMON, "--set", "engine.sim.decode_tokens_per_s=25"),
    "llamacpp": (*COMMON, "--replicas", "2", "--tp", "1", "--set", "layout.max_model_len=256"),
}
MAX_TOKENS = {"sim": 40, "llamacpp": 12}

TOPICS = (
    "the sea",
    "a lighthouse",
    "bread",
    "the number seven",
    "an old clock",
    "winter",
    "two brothers",
    "the moon",
    "a river",
    "music",
)
QUESTIONS = ("Tell me about {}.", "Write a short poem on {}.")
BEGINNINGS = ("The story of {} begins", "What everybody says of {} is that")


@dataclass
class Tally:
    """What became of the streams of all runs."""

    streams: int = 0
    struck: int = 0
    lost: int = 0
    identical: int = 0
    gaps_s: list[float] = field(default_factory=list)
    fresh_s: list[float] = field(default_factory=list)

    def add(self, streams: Sequence[Stream], expected: Sequence[Stream], victim: str) -> None:
        self.streams += len(streams)
        struck = resumed(streams, victim)
        self.struck += len(struck)
        self.lost += sum(not one.is_whole for one in streams)
        self.gaps_s += [one.gap_s for one in struck if one.is_whole]
        self.identical += equal(streams, expected)


def equal(streams: Sequence[Stream], expected: Sequence[Stream]) -> int:
    """Return how many have the same text as in another run."""
    pairs = zip(streams, expected, strict=True)
    return sum(a.is_whole and a.text() == b.text() for a, b in pairs)


def asks_for(engine: str) -> list[Ask]:
    asks = [
        ask(index, max_tokens=MAX_TOKENS[engine], chat_every=2 if engine == "sim" else 20)
        for index in range(STREAMS)
    ]
    for one in asks:
        one.body["cache_prompt"] = False
    return asks


def struck_runs(at: Up, asks: Sequence[Ask], runs: int) -> tuple[Tally, float]:
    """Return what the kills did, and the share of equal texts of two runs without one."""
    expected = asyncio.run(run_streams(at.root_url, asks))
    unharmed = equal(asyncio.run(run_streams(at.root_url, asks)), expected) / len(asks)
    tally = Tally()
    for run in range(runs):
        victim = run % 2
        streams = struck(at, asks, victim)
        tally.add(streams, expected, f"r{victim}")
        if not run % COMPARED_EVERY:
            tally.fresh_s += fresh(at, streams, victim)
        print(f"run {run + 1}: lost {tally.lost}, longest gap {max(tally.gaps_s):.2f} s")
    return tally, unharmed


def struck(
    at: Up, asks: Sequence[Ask], victim: int, *, before: Callable[[], None] = lambda: None
) -> list[Stream]:
    """Return the streams after the kill of a replica that served some of them."""
    incarnation = at.replica(victim).incarnation

    def strike() -> None:
        before()
        kill_engine(at, victim)

    streams = asyncio.run(run_streams(at.root_url, asks, strike=strike, after_events=AFTER_EVENTS))
    eventually(lambda: at.status().ready and at.replica(victim).incarnation > incarnation)
    eventually(at.is_idle)
    time.sleep(SLOW_START_S)
    return streams


def fresh(at: Up, streams: Sequence[Stream], victim: int) -> list[float]:
    continued = resumed(streams, f"r{victim}")
    others = [one for one in streams if one not in continued]
    return asyncio.run(fresh_ttfts(at.replica(1 - victim).endpoint or "", continued, others))


async def fresh_ttfts(
    engine: str, struck: Sequence[Stream], others: Sequence[Stream]
) -> list[float]:
    """Return the times to first token of requests as long as what had to be continued.

    They are sent to an engine at once, while it works on what the other one had.
    """
    pool, moved = Pool(engine), asyncio.Event()
    open_ones = [Stream(pool, one.asked, moved) for one in others]
    await until(lambda: all(one.events >= AFTER_EVENTS for one in open_ones), moved)
    fresh = [Stream(pool, rest_of(one), moved) for one in struck]
    await until(lambda: all(one.ended for one in open_ones + fresh), moved)
    await pool.close()
    return [one.ttft_s for one in fresh]


def rest_of(stream: Stream) -> Ask:
    """Return what was left of a stream when its engine was killed, as a request of its own."""
    body = {key: value for key, value in stream.asked.body.items() if key != "messages"}
    prompt = body.get("prompt") or stream.asked.body["messages"][0]["content"]
    prompt += stream.text(stream.struck_events)
    return Ask(COMPLETIONS, {**body, "prompt": prompt})


def streams_row(engine: str, at: Up, runs: int) -> dict[str, object]:
    asks = asks_for(engine)
    tally, unharmed = struck_runs(at, asks, runs)
    gaps = statistics.quantiles(tally.gaps_s, n=100, method="inclusive")
    return {
        "engine": engine,
        "runs": runs,
        "streams": tally.streams,
        "open_at_the_killed_engine": tally.struck,
        "lost": tally.lost,
        "identical": tally.identical,
        "identical_unharmed": round(unharmed, 3),
        "gap_p50_s": round(gaps[49], 3),
        "gap_p99_s": round(gaps[98], 3),
        "gap_max_s": round(max(tally.gaps_s), 3),
        "fresh_ttft_p50_s": round(statistics.median(tally.fresh_s), 3),
        "fresh_ttft_max_s": round(max(tally.fresh_s), 3),
        "added_max_s": round(max(tally.gaps_s) - max(tally.fresh_s), 3),
    }


def prompts() -> list[Ask]:
    """Return 40 greedy requests that end where the model ends them, of both routes by turns."""
    body = {"max_tokens": PROMPT_TOKENS_OUT, "temperature": 0, "cache_prompt": False}
    asks: list[Ask] = []
    for topic in TOPICS:
        for question, beginning in zip(QUESTIONS, BEGINNINGS, strict=True):
            messages = [{"role": "user", "content": question.format(topic)}]
            asks.append(Ask(CHAT, {**body, "messages": messages}))
            asks.append(Ask(COMPLETIONS, {**body, "prompt": beginning.format(topic)}))
    return asks


def prompts_row(at: Up) -> dict[str, object]:
    """Kill the engine of all prompts, a few at a time, which then go on at the other one."""
    asks = prompts()
    streams: list[Stream] = []
    same = same_unharmed = 0
    for start in range(0, len(asks), PROMPTS_AT_ONCE):
        some = asks[start : start + PROMPTS_AT_ONCE]
        control.drain(at.folder, "r1", wait=True)
        whole, again = (asyncio.run(run_streams(at.root_url, some)) for _ in range(2))
        killed = struck(at, some, 0, before=lambda: control.undrain(at.folder, "r1"))
        streams += killed
        same += equal(killed, whole)
        same_unharmed += equal(again, whole)
    return {
        "engine": "llamacpp",
        "prompts": len(asks),
        "open_at_the_killed_engine": len(resumed(streams, "r0")),
        "lost": sum(not one.is_whole for one in streams),
        "identical": same / len(asks),
        "identical_unharmed": same_unharmed / len(asks),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--engine", action="append", choices=ENGINES)
    options = parser.parse_args()
    rows = []
    for engine in options.engine or ENGINES:
        with (
            tempfile.TemporaryDirectory() as state,
            up(*ENGINES[engine], state=Path(state) / "s") as at,
        ):
            rows.append(streams_row(engine, at, options.runs))
            print(rows[-1])
            if engine == "llamacpp":
                rows.append(prompts_row(at))
                print(rows[-1])
    settings = {"streams": STREAMS, "after_events": AFTER_EVENTS, "target_added_s": TARGET_S}
    print(write_result("resume", rows, settings=settings, packages=["xllamacpp"]))


if __name__ == "__main__":
    main()
