"""The parent's side of the gateway's workers: hands out tables, adds up counters, asks questions.

A worker is known from its hello to the end of its connection, which is also the end of the worker.
What it had counted until then is kept, so that the sums over all workers never go back; what it
had outstanding is gone with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from replicore.gateway.observe.snapshot import Snapshot, merge
from replicore.gateway.record import Explanation
from replicore.gateway.table import ReplicaTable, Settings, Stats
from replicore.gateway.workers.messages import (
    LONGEST_LINE,
    Answer,
    FromWorker,
    Hello,
    Question,
    ToWorker,
    Welcome,
    encode,
)
from replicore.gateway.workers.totals import counted, total
from replicore.unix_socket import listen_unix

# A worker answers between two requests, within milliseconds; one that does not is stopped.
_ANSWER_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class _Worker:
    """One worker's connection, and what it has told.

    Attributes:
        stats: None before its first report, which it sends once it serves.
        snapshot: Its latest one; None before the first.
    """

    __slots__ = ("_questions", "_writer", "index", "snapshot", "stats")

    def __init__(self, index: int, writer: asyncio.StreamWriter) -> None:
        self.index = index
        self.stats: Stats | None = None
        self.snapshot: Snapshot | None = None
        self._writer = writer
        self._questions: dict[int, asyncio.Future[Answer]] = {}

    def tell(self, message: msgspec.Struct) -> None:
        # uvloop raises where the connection is lost already and its reader has not heard of it.
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    async def ask(self, question: Question) -> Answer | None:
        """Return the answer; None if the worker ends or does not answer in time."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._questions[question.id] = answer
        self.tell(ToWorker(question=question))
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await answer
        except (TimeoutError, ConnectionError):
            return None
        finally:
            del self._questions[question.id]

    def take(self, message: FromWorker) -> None:
        self.stats = message.stats or self.stats
        self.snapshot = message.snapshot or self.snapshot
        if message.answer is not None:
            self._take_answer(message.answer)

    def close(self) -> None:
        self._writer.close()
        for answer in self._questions.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the worker has ended"))

    def goes_by(self, revision: int) -> bool:
        """Whether it has applied the table of that revision, or a later one."""
        return self.stats is not None and self.stats.revision >= revision

    def has_work_at(self, replica: str) -> bool:
        """Whether its last report knows of a request at the replica."""
        stats = self.stats.replicas.get(replica) if self.stats is not None else None
        return stats is not None and stats.outstanding > 0

    def _take_answer(self, answer: Answer) -> None:
        self.snapshot = answer.snapshot or self.snapshot
        question = self._questions.get(answer.id)
        if question is not None and not question.done():
            question.set_result(answer)


class Hub:
    """What the workers of one gateway have in common.

    Attributes:
        table: The last one that was published.
    """

    def __init__(self) -> None:
        self.table = ReplicaTable(model="")
        self._settings = Settings()
        self._workers: dict[int, _Worker] = {}
        self._ended_stats: Stats | None = None
        self._ended_snapshot = merge([])
        self._questions = 0
        self._moved = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def open(self, path: Path, settings: Settings) -> None:
        """Listen for workers on the Unix socket ``path``; each is told the settings."""
        self._settings = settings
        listener = listen_unix(path)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=LONGEST_LINE
        )

    def close(self) -> None:
        """End all connections, and with them the workers."""
        if self._server is not None:
            self._server.close()
        for worker in list(self._workers.values()):
            self._lose(worker)

    def forget(self, worker: int) -> None:
        """Take note of a worker's end, before its connection tells."""
        known = self._workers.get(worker)
        if known is not None:
            self._lose(known)

    def publish(self, table: ReplicaTable) -> None:
        """Send a changed table to all workers, with a revision of its own."""
        self.table = replace(table, revision=self.table.revision + 1)
        for worker in self._workers.values():
            worker.tell(ToWorker(table=self.table))
        self._wake()

    def serves(self, worker: int) -> bool:
        """Whether the worker has a table and takes requests."""
        known = self._workers.get(worker)
        return known is not None and known.stats is not None

    def stats(self) -> Stats | None:
        """Return the counters of all workers, up to a second old; None before the first."""
        living = [worker.stats for worker in self._workers.values() if worker.stats is not None]
        if self._ended_stats is not None:
            living.append(replace(self._ended_stats, revision=self.table.revision))
        return total(living) if living else None

    def is_known(self, revision: int) -> bool:
        """Whether every worker has applied the table of that revision, or a later one."""
        return all(worker.goes_by(revision) for worker in self._workers.values())

    def is_idle(self, replica: str, revision: int) -> bool:
        """Whether no worker has a request at a replica, nor sends one by an older table."""
        works = any(worker.has_work_at(replica) for worker in self._workers.values())
        return self.is_known(revision) and not works

    async def moved(self) -> None:
        """Return when a worker has said something, has ended, or has been told something."""
        await self._moved.wait()

    async def snapshot(self) -> Snapshot:
        """Return the metrics of all workers, those that have ended included."""
        await self._ask_all(None)
        living = [worker.snapshot for worker in self._workers.values()]
        return merge([self._ended_snapshot, *(one for one in living if one is not None)])

    async def explain(self, request_id: str) -> Explanation | None:
        """Return why a request went where it did, from the worker that had it."""
        for answer in await self._ask_all(request_id):
            if answer is not None and answer.explanation is not None:
                return answer.explanation
        return None

    async def _ask_all(self, explain: str | None) -> list[Answer | None]:
        self._questions += 1
        question = Question(id=self._questions, explain=explain)
        return await asyncio.gather(*(one.ask(question) for one in self._workers.values()))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The other end may be killed at any moment, also in the middle of a line.
        with suppress(ConnectionError, ValueError), _reported():
            hello = msgspec.json.decode(await reader.readline(), type=Hello)
            worker = self._welcome(hello, writer)
            try:
                async for line in reader:
                    worker.take(msgspec.json.decode(line, type=FromWorker))
                    self._wake()
                    await writer.drain()
            finally:
                self._lose(worker)
        writer.close()

    def _welcome(self, hello: Hello, writer: asyncio.StreamWriter) -> _Worker:
        before = self._workers.get(hello.worker)
        if before is not None:  # its end has not been read yet
            self._lose(before)
        worker = self._workers[hello.worker] = _Worker(hello.worker, writer)
        worker.tell(Welcome(settings=self._settings, table=self.table))
        return worker

    def _lose(self, worker: _Worker) -> None:
        """Keep what an ended worker has counted; once is enough."""
        if self._workers.get(worker.index) is not worker:
            return
        del self._workers[worker.index]
        if worker.stats is not None:
            past = [self._ended_stats] if self._ended_stats is not None else []
            self._ended_stats = total([*past, counted(worker.stats)])
        if worker.snapshot is not None:
            self._ended_snapshot = merge([self._ended_snapshot, worker.snapshot.lasting()])
        worker.close()
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


@contextmanager
def _reported() -> Iterator[None]:
    """Log a line that cannot be read: whoever sent it is no worker of this version."""
    try:
        yield
    except msgspec.MsgspecError as error:
        _log.warning("a gateway worker sent what is not understood here: %s", error)
