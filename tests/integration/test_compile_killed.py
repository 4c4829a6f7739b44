"""SIGKILL in the middle of a compile: no process of it stays, and the next one works."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from replicore.artefacts.digest import digest
from replicore.artefacts.store import State, Store
from replicore.deploy.compile import Compile, Compiled
from replicore.deploy.making import COMPILE_VARIABLE
from replicore.deploy.strays import find_strays
from tests.integration.compiled_engine import CompiledEngine, Told, compiled, with_store
from tests.integration.deploy.deployments import is_alive, until, wait_until

NAME = digest(compiled().fields)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@contextmanager
def compiling(store: Store, fault: str) -> Iterator[subprocess.Popen[str]]:
    """Run a compile that does not end by itself; the block begins when it is at work."""
    argv = [sys.executable, "-m", "tests.integration.compile_process", str(store.root), fault]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any(line == "compiling\n" for line in process.stdout)
            yield process
        finally:
            process.kill()


def compile_again(store: Store) -> Compiled:
    deployment = with_store(store.root, CompiledEngine(compiled()))
    return asyncio.run(Compile(deployment, store.root.parent / "state", Told()).run())


def at_work(store: Store) -> list[int]:
    return find_strays({COMPILE_VARIABLE: str(store.path(NAME))})


def test_killed_compile_leaves_no_process_and_no_artefact(store: Store) -> None:
    with compiling(store, "daemon") as process:
        assert at_work(store) != []
        process.kill()
        process.wait()

        assert wait_until(lambda: at_work(store) == [])
    assert store.entry(NAME).state is State.ABSENT


def test_compile_after_a_killed_one_begins_anew_and_leaves_nothing_of_it(store: Store) -> None:
    with compiling(store, "hang") as process:
        process.kill()
    assert store.leftovers() == [NAME]
    done = compile_again(store)

    assert done.entry is not None
    assert (done.entry.state, done.was_there) == (State.COMPLETE, False)
    assert store.leftovers() == []


def test_compile_that_is_killed_with_its_keeper_leaves_what_the_next_one_kills(
    store: Store,
) -> None:
    with compiling(store, "daemon") as process:
        (keeper,) = psutil.Process(process.pid).children()
        os.kill(keeper.pid, signal.SIGSTOP)  # so that it cannot kill first
        process.kill()
        process.wait()
        os.kill(keeper.pid, signal.SIGKILL)
        assert wait_until(lambda: not is_alive(keeper.pid))
    assert at_work(store) != []
    compile_again(store)

    assert at_work(store) == []


def test_only_one_of_two_processes_compiles_at_a_time(store: Store) -> None:
    told = Told()

    async def wait_for_the_other(process: subprocess.Popen[str]) -> Compiled:
        deployment = with_store(store.root, CompiledEngine(compiled()))
        waiting = asyncio.create_task(Compile(deployment, store.root.parent, told).run())
        await until(lambda: told.holders)
        assert (store.building(NAME) / "work" / "graph.hlo").exists()
        process.kill()
        return await waiting

    with compiling(store, "hang") as process:
        done = asyncio.run(wait_for_the_other(process))

    assert told.holders[0].startswith(f"pid {process.pid} (")
    assert not done.was_there
    assert store.entry(NAME).state is State.COMPLETE
