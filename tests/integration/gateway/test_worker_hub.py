"""The hub, spoken to line by line, as its workers do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from replicore.gateway.table import ReplicaRow, ReplicaTable, Settings
from replicore.gateway.workers.hub import Hub
from replicore.unix_socket import connect_unix
from tests.integration.loops import run

ROW = ReplicaRow(name="r0", endpoint="http://127.0.0.1:1", state="ready")
TABLE = ReplicaTable(model="m", replicas=(ROW,))


class Worker:
    """One worker's end of the connection."""

    def __init__(
        self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.writer = writer
        self._hub = hub
        self._reader = reader

    def tell(self, **message: Any) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def read(self) -> Any:
        return json.loads(await self._reader.readline())

    async def report(self, *, revision: int = 1, outstanding: int = 0, requests: int = 0) -> None:
        """Send counters; return when they are taken."""
        r0 = {"outstanding": outstanding, "requests": requests, "errors": 0}
        counters = {"outstanding": outstanding, "queued": 0, "requests": requests, "errors": 0}
        moved = asyncio.create_task(self._hub.moved())
        await asyncio.sleep(0)  # let it wait
        self.tell(stats={**counters, "revision": revision, "replicas": {"r0": r0}})
        await moved

    async def answer(self, **answer: Any) -> None:
        """Answer the question that comes next."""
        question = (await self.read())["question"]
        self.tell(answer={"id": question["id"], **answer})


class House:
    """A hub, and a way to come to it."""

    def __init__(self, hub: Hub, path: Path) -> None:
        self.hub = hub
        self._path = path

    @asynccontextmanager
    async def worker(self, index: int = 0) -> AsyncIterator[Worker]:
        """Come as a worker that has been welcomed."""
        reader, writer = await asyncio.open_unix_connection(sock=connect_unix(self._path))
        worker = Worker(self.hub, reader, writer)
        worker.tell(worker=index)
        try:
            assert (await worker.read()).keys() == {"settings", "table"}
            yield worker
        finally:
            writer.close()

    async def lost(self, worker: Worker) -> None:
        """Return when the hub knows that the worker has ended."""
        worker.writer.close()
        await self.hub.moved()


def converse(folder: Path, scenario: Callable[[House], Awaitable[None]]) -> None:
    async def test() -> None:
        hub = Hub()
        hub.publish(TABLE)
        await hub.open(folder / "hub.sock", Settings())
        try:
            await scenario(House(hub, folder / "hub.sock"))
        finally:
            hub.close()
            await asyncio.sleep(0)

    run(test)


def test_worker_serves_from_its_first_report_to_its_end(tmp_path: Path) -> None:
    async def scenario(at: House) -> None:
        async with at.worker() as worker:
            assert not at.hub.serves(0)
            await worker.report()
            assert at.hub.serves(0)
            await at.lost(worker)
            assert not at.hub.serves(0)

    converse(tmp_path, scenario)


def test_every_worker_is_told_a_table_with_a_revision_of_its_own(tmp_path: Path) -> None:
    async def scenario(at: House) -> None:
        async with at.worker(0) as one, at.worker(1) as other:
            at.hub.publish(TABLE)
            tables = [(await worker.read())["table"] for worker in (one, other)]

            assert [table["revision"] for table in tables] == [2, 2]

    converse(tmp_path, scenario)


def test_replica_is_idle_when_no_worker_has_a_request_there_by_a_late_enough_table(
    tmp_path: Path,
) -> None:
    async def scenario(at: House) -> None:
        async with at.worker(0) as one, at.worker(1) as other:
            await one.report(revision=2)
            assert not at.hub.is_idle("r0", 2)
            await other.report(revision=1)
            assert not at.hub.is_idle("r0", 2)
            await other.report(revision=2, outstanding=1)
            assert not at.hub.is_idle("r0", 2)
            await other.report(revision=2)
            assert at.hub.is_idle("r0", 2)

    converse(tmp_path, scenario)


def test_worker_that_ends_takes_what_it_had_outstanding_and_leaves_what_it_counted(
    tmp_path: Path,
) -> None:
    async def scenario(at: House) -> None:
        async with at.worker(0) as one, at.worker(1) as other:
            await one.report(requests=5, outstanding=2)
            await other.report(requests=7, outstanding=3)
            await at.lost(other)

            stats = at.hub.stats()
            assert stats is not None
            assert (stats.requests, stats.outstanding) == (12, 2)

    converse(tmp_path, scenario)


def test_worker_that_comes_back_replaces_what_is_left_of_it(tmp_path: Path) -> None:
    async def scenario(at: House) -> None:
        async with at.worker() as before:
            await before.report(requests=5, outstanding=2)
            async with at.worker() as after:
                await after.report(requests=1)

                stats = at.hub.stats()
                assert stats is not None
                assert (stats.requests, stats.outstanding) == (6, 0)

    converse(tmp_path, scenario)


def test_snapshot_is_of_all_workers_those_that_ended_included(tmp_path: Path) -> None:
    def counting(value: int) -> dict[str, Any]:
        return {"counters": [["requests", [], value]], "gauges": [["workers", [], 1]]}

    async def scenario(at: House) -> None:
        async with at.worker(0) as one, at.worker(1) as other:
            other.tell(snapshot=counting(5))
            await at.hub.moved()
            await at.lost(other)
            asked = asyncio.create_task(at.hub.snapshot())
            await one.answer(snapshot=counting(3))
            merged = await asked

            assert [count.value for count in merged.counters] == [8]
            assert [count.value for count in merged.gauges] == [1]

    converse(tmp_path, scenario)


def test_explanation_comes_from_the_worker_that_has_one(tmp_path: Path) -> None:
    known = {"request_id": "id", "prompt_tokens": 1, "output_tokens": 2, "choices": []}

    async def scenario(at: House) -> None:
        async with at.worker(0) as one, at.worker(1) as other:
            asked = asyncio.create_task(at.hub.explain("id"))
            await one.answer()
            await other.answer(explanation=known)
            found = await asked

            assert found is not None
            assert found.request_id == "id"

    converse(tmp_path, scenario)


def test_question_is_not_waited_for_when_the_worker_ends(tmp_path: Path) -> None:
    async def scenario(at: House) -> None:
        async with at.worker() as worker:
            asked = asyncio.create_task(at.hub.explain("id"))
            await worker.read()
            worker.writer.close()

            assert await asked is None

    converse(tmp_path, scenario)


def test_line_that_is_no_message_ends_the_connection_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(at: House) -> None:
        async with at.worker() as worker:
            await worker.report()
            worker.tell(stats="nonsense")
            await at.hub.moved()

            assert not at.hub.serves(0)

    converse(tmp_path, scenario)
    assert "not understood here" in caplog.text
