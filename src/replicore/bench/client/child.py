"""One client process as its parent sees it: what it was given, what it told, how it ended."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from replicore.bench.client.messages import Kept, Report, Sessions, receive, send
from replicore.bench.client.process import Outcome
from replicore.bench.client.tick import Tick
from replicore.bench.load.jobs import Session
from replicore.bench.record import Failure, FailureKind, RequestRecord

_EXIT_TIMEOUT_S = 5.0
_NOTHING_YET = Tick(done=0, total=None, warming=0, errors=0, output_tokens=0, elapsed_s=0.0)


class Child:
    """A running client process.

    Attributes:
        number: Which of them it is, 0-based.
        outcome: None before it has told.
    """

    def __init__(
        self,
        number: int,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self.outcome: Outcome | None = None
        self._process = process
        self._reader = reader
        self._writer = writer
        # Not recorded yet: session and turn of a request, by warm-up and index.
        self._open: dict[tuple[bool, int], tuple[Session, int]] = {}
        self._handed = 0
        self._taken = 0
        self._tick = _NOTHING_YET
        self._ttfts: list[float] = []

    @property
    def ahead(self) -> int:
        """Sessions that it was given and has not begun, as far as it has told."""
        return self._handed - self._taken

    @property
    def how_it_ended(self) -> str:
        code = self._process.returncode
        if code is None:
            return "did not end"
        return f"ended with signal {-code}" if code < 0 else f"ended with code {code}"

    def tell(self, message: object) -> None:
        send(self._writer, message)

    def hand(self, sessions: Sequence[tuple[int, Session]], *, last: bool) -> None:
        """Give it sessions with their positions; ``last`` says that no more will come."""
        for _, session in sessions:
            for turn, job in enumerate(session.jobs):
                self._open[session.warmup, job.index] = session, turn
        self._handed += len(sessions)
        self.tell(Sessions(tuple(sessions), last))

    async def hear(self) -> object:
        """Return its next message, already taken note of; None when it is gone."""
        message = await receive(self._reader)
        if isinstance(message, Kept):
            self._open.pop((message.warmup, message.record.index), None)
        elif isinstance(message, Report):
            self._tick = message.tick
            self._taken = message.taken
            self._ttfts += message.tick.recent_ttft_s
        elif isinstance(message, Outcome):
            self.outcome = message
        return message

    def tick(self) -> Tick:
        """Return how far it was when it last told."""
        ttfts, self._ttfts = tuple(self._ttfts), []
        return replace(self._tick, recent_ttft_s=ttfts)

    def lost(self, at_s: float) -> Iterator[Kept]:
        """Yield what it was given and never told of, as unfinished at ``at_s`` of the run."""
        reason = f"client process {self.number} {self.how_it_ended} and told nothing of it"
        for (warmup, index), (session, turn) in self._open.items():
            job = session.jobs[turn]
            record = RequestRecord(
                index=index,
                endpoint="",
                replica=f"client process {self.number}",
                input_tokens_asked=job.input_tokens,
                output_tokens_asked=job.output_tokens,
                intended_s=at_s if session.at_s is None else session.at_s,
                dispatched_s=at_s,
                ended_s=at_s,
                session=session.index,
                turn=turn,
                worker=self.number,
                failure=Failure(FailureKind.INTERRUPTED, reason),
            )
            yield Kept(record, warmup)

    async def wait(self) -> None:
        """Return when the process is gone; one that does not end by itself is killed."""
        try:
            async with asyncio.timeout(_EXIT_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        """End it: it stops when its connection does."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        await self.wait()


async def spawn(number: int) -> Child:
    """Start a client process, in a session of its own: Ctrl-C is for its parent alone."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await _start(theirs.fileno())
    except BaseException:
        ours.close()
        raise
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    return Child(number, process, reader, writer)


async def _start(fd: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "replicore.bench.client.worker",
        str(fd),
        pass_fds=(fd,),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
