"""What replicas are started with, and who may touch it meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from replicore.artefacts.digest import digest
from replicore.artefacts.gc import collect
from replicore.artefacts.lock import try_lock
from replicore.artefacts.manifest import MANIFEST
from replicore.artefacts.store import State, Store
from replicore.deploy.compile import Compile, Compiled
from replicore.deploy.supervisor import Supervisor, running
from replicore.engines.command import Command
from replicore.engines.engine import ReplicaPlan
from replicore.engines.recipe import Recipe, Stage
from replicore.errors import ArtefactError, ReplicaExited
from tests.integration.compiled_engine import CACHE, CompiledEngine, Told, compiled, with_store
from tests.integration.deploy.deployments import FakeEngine

COMPILED = compiled()
NAME = digest(COMPILED.fields)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@asynccontextmanager
async def up(store: Store, engine: FakeEngine) -> AsyncIterator[Supervisor]:
    """Run a deployment for the block, which begins when all is ready."""
    async with running(with_store(store.root, engine), root=store.root.parent) as supervisor:
        await supervisor.wait_ready(30)
        yield supervisor


def start(store: Store, engine: FakeEngine) -> None:
    async def start_and_stop() -> None:
        async with up(store, engine):
            pass

    asyncio.run(start_and_stop())


def compile_for(store: Store, engine: FakeEngine) -> Compiled:
    deployment = with_store(store.root, engine)
    return asyncio.run(Compile(deployment, store.root.parent, Told()).run())


def test_engine_without_a_recipe_is_given_nothing(store: Store) -> None:
    engine = CompiledEngine(None)
    start(store, engine)

    assert engine.given == [None, None]
    assert not store.root.exists()


def test_replica_has_a_folder_of_its_own_as_long_as_it_runs(store: Store) -> None:
    folders = store.root.parent / "test" / "replicas"

    async def look() -> list[str]:
        async with up(store, CompiledEngine(None)):
            return sorted(path.name for path in folders.iterdir())

    assert asyncio.run(look()) == ["r0", "r1"]
    assert not folders.exists()


def test_replicas_are_given_the_artefact(store: Store) -> None:
    engine = CompiledEngine(COMPILED)
    compile_for(store, engine)
    start(store, engine)

    assert engine.given == [store.path(NAME)] * 2


def test_up_without_a_required_artefact_starts_nothing_and_says_what_makes_it(
    store: Store,
) -> None:
    engine = CompiledEngine(COMPILED)
    with pytest.raises(ArtefactError) as caught:
        start(store, engine)

    assert "nothing has been compiled for this spec" in caught.value.message
    assert "`replicore compile SPEC`, or `replicore up --compile`" in (caught.value.hint or "")
    assert engine.given == []


def test_up_with_other_keys_than_were_compiled_names_each(store: Store) -> None:
    compile_for(store, CompiledEngine(COMPILED))
    other = replace(COMPILED, fields={**COMPILED.fields, "layout.batch_size": 8})
    with pytest.raises(ArtefactError) as caught:
        start(store, CompiledEngine(other))

    assert "\n  layout.batch_size: made with 4, wanted 8" in caught.value.message
    assert "with layout.batch_size = 4" in (caught.value.hint or "")


def test_up_with_a_truncated_model_is_refused(store: Store) -> None:
    engine = CompiledEngine(COMPILED)
    compile_for(store, engine)
    os.truncate(store.path(NAME) / "model.pt", 100)

    with pytest.raises(ArtefactError, match=r"is damaged: model\.pt has 100 bytes"):
        start(store, engine)


def test_up_during_a_compile_is_refused_and_told_who_compiles(store: Store) -> None:
    lock = try_lock(store.lock(NAME), exclusive=True)
    assert lock is not None
    with lock, pytest.raises(ArtefactError, match=f"is being made by pid {os.getpid()} "):
        start(store, CompiledEngine(COMPILED))


def test_artefact_is_not_removed_while_replicas_run_from_it(store: Store) -> None:
    engine = CompiledEngine(COMPILED)
    compile_for(store, engine)

    async def collect_while_it_runs() -> None:
        async with up(store, engine):
            (verdict,) = collect(store, unused_s=0, now=time.time() + 1000)
            assert "in use by pid" in verdict.reason

    asyncio.run(collect_while_it_runs())
    assert store.entry(NAME).state is State.COMPLETE
    (verdict,) = collect(store, unused_s=0, now=time.time() + 1000)
    assert verdict.removed


def test_cache_that_is_not_there_is_made_and_shared_and_then_is_an_artefact(store: Store) -> None:
    engine = CompiledEngine(CACHE)
    start(store, engine)
    cache = store.path(digest(CACHE.fields))

    assert engine.given == [cache, cache]
    assert store.entry(cache.name).state is State.COMPLETE


def test_cache_is_no_artefact_before_the_replicas_are_ready(store: Store) -> None:
    with pytest.raises(ReplicaExited):
        start(store, CompiledEngine(CACHE, "--exit=2"))

    assert store.entry(digest(CACHE.fields)).state is State.UNFINISHED


def test_cache_that_cannot_be_written_is_done_without(store: Store) -> None:
    store.root.mkdir()
    store.path(digest(CACHE.fields)).touch()
    engine = CompiledEngine(CACHE)
    start(store, engine)

    assert engine.given == [None, None]


def test_cache_of_a_later_program_is_left_alone(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = store.path(digest(CACHE.fields)) / MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"format": 2}')
    engine = CompiledEngine(CACHE)
    start(store, engine)

    assert engine.given == [None, None]
    assert manifest.read_text() == '{"format": 2}'
    assert "which a later replicore wrote" in caplog.text


def test_replica_that_recompiles_into_the_artefact_is_told_of(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    engine = CompiledEngine(COMPILED)
    compile_for(store, engine)

    async def recompile_while_it_starts() -> None:
        deployment = with_store(store.root, engine)
        async with running(deployment, root=store.root.parent) as supervisor:
            os.truncate(store.path(NAME) / "model.pt", 100)
            await supervisor.wait_ready(30)

    asyncio.run(recompile_while_it_starts())
    assert "a replica has changed what it was to load" in caplog.text


def by_starting(store: Store, recipe: Recipe | None, *faults: str) -> tuple[Compiled, list[object]]:
    """Compile where a replica makes the artefact by starting, or as a check."""
    engine = CompiledEngine(recipe, *faults)
    return compile_for(store, engine), [*engine.given]


def test_artefact_that_a_replica_makes_is_made_by_one_of_them(store: Store) -> None:
    done, given = by_starting(store, CACHE)

    assert done.entry is not None
    assert given == [done.entry.path]
    assert (done.entry.path / MANIFEST).exists()
    again, given = by_starting(store, CACHE)
    assert (again.was_there, given) == (True, [])


def test_force_empties_a_cache_first(store: Store) -> None:
    done, _ = by_starting(store, CACHE)
    assert done.entry is not None
    (done.entry.path / "poisoned").touch()
    deployment = with_store(store.root, CompiledEngine(CACHE))
    asyncio.run(Compile(deployment, store.root.parent, Told(), force=True).run())

    assert [path.name for path in done.entry.path.iterdir()] == [MANIFEST]


def test_what_a_replica_prints_while_it_makes_an_artefact_is_told(store: Store) -> None:
    told = Told()
    recipe = replace(CACHE, stages=(Stage(pattern="fake engine", label="loading"),))
    deployment = with_store(store.root, CompiledEngine(recipe))
    asyncio.run(Compile(deployment, store.root.parent, told).run())

    assert told.stages == [("loading", 1, 1)]


def test_replica_that_makes_an_artefact_and_fails_leaves_it_unfinished(store: Store) -> None:
    with pytest.raises(ReplicaExited, match="no such luck"):
        by_starting(store, CACHE, "--exit=1")

    assert store.entry(digest(CACHE.fields)).state is State.UNFINISHED


def test_compile_of_an_engine_that_compiles_nothing_starts_one_replica_as_a_check(
    store: Store,
) -> None:
    done, given = by_starting(store, None)

    assert (done.entry, given) == (None, [None])
    assert not (store.root.parent / "compile-test").exists()


def test_check_that_fails_tells_why_and_keeps_the_logs(store: Store) -> None:
    with pytest.raises(ReplicaExited, match="no such luck"):
        by_starting(store, None, "--exit=1")

    assert list((store.root.parent / "compile-test" / "logs").glob("r0.*.log")) != []


def test_replica_that_compiles_is_one_of_as_many_as_are_planned(store: Store) -> None:
    seen: list[tuple[int, int]] = []

    class Looking(CompiledEngine):
        def command(self, replica: ReplicaPlan) -> Command:
            seen.append((replica.index, replica.replicas))
            return super().command(replica)

    compile_for(store, Looking(CACHE))

    assert seen == [(0, 2)]
