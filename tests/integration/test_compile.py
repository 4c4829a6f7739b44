"""Compiles with a program of its own: what is left of them, however they end."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from replicore.artefacts.digest import digest
from replicore.artefacts.store import State, Store
from replicore.deploy.compile import Compile, Compiled
from replicore.deploy.supervisor import running
from replicore.engines.command import Command
from replicore.engines.recipe import Recipe
from replicore.errors import ArtefactError, ConfigError, ReplicaStartError
from tests.integration.compiled_engine import CompiledEngine, Told, compiled, with_store
from tests.integration.deploy.deployments import until

NAME = digest(compiled().fields)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def work(store: Store, recipe: Recipe, told: Told | None = None, *, force: bool = False) -> Compile:
    deployment = with_store(store.root, CompiledEngine(recipe))
    return Compile(deployment, store.root.parent / "state", told or Told(), force=force)


def run(store: Store, recipe: Recipe, told: Told | None = None, *, force: bool = False) -> Compiled:
    return asyncio.run(work(store, recipe, told, force=force).run())


def nothing_is_left(store: Store) -> bool:
    return store.entry(NAME).state is State.ABSENT and store.leftovers() == []


def logs(store: Store) -> list[str]:
    return [path.read_text() for path in sorted(store.logs.glob(f"{NAME}.*.log"))]


def test_compile_makes_a_whole_artefact_and_tells_how_it_goes(store: Store) -> None:
    told = Told()
    done = run(store, compiled(), told)

    assert done.entry is not None
    assert (done.entry.state, done.was_there) == (State.COMPLETE, False)
    assert (done.entry.path / "weights" / "tp1_sharded_checkpoint.safetensors").exists()
    assert told.stages == [("tracing", 1, 2), ("sharding", 2, 2)]
    assert store.leftovers() == []
    assert "Sharding weights for ranks" in logs(store)[0]


def test_artefact_that_is_there_is_not_made_again(store: Store) -> None:
    first = run(store, compiled())
    again = run(store, compiled("abort"))

    assert again.was_there
    assert again.entry == first.entry


def test_force_makes_it_again(store: Store) -> None:
    before = run(store, compiled()).entry
    done = run(store, compiled(), force=True)

    assert not done.was_there
    assert before is not None
    assert done.entry is not None
    assert len(logs(store)) == 2


def test_force_that_fails_keeps_what_was_there(store: Store) -> None:
    run(store, compiled())
    with pytest.raises(ArtefactError):
        run(store, compiled("abort"), force=True)

    assert store.entry(NAME).state is State.COMPLETE


def test_compile_that_fails_says_why_and_leaves_its_log_only(store: Store) -> None:
    with pytest.raises(ArtefactError) as caught:
        run(store, compiled("abort"))

    assert caught.value.message.startswith("the compile exited with code 1 after ")
    assert "  | OSError: [Errno 28] No space left on device" in caught.value.message
    assert f"its whole log is {store.logs / NAME}.1.log" in (caught.value.hint or "")
    assert nothing_is_left(store)
    assert "No space left on device" in logs(store)[0]


@pytest.mark.parametrize(
    ("fault", "said"), [("truncate", "model.pt is cut off"), ("no-model", "model.pt is missing")]
)
def test_compile_that_claims_success_without_a_whole_model_has_failed(
    store: Store, fault: str, said: str
) -> None:
    with pytest.raises(ArtefactError, match=said) as caught:
        run(store, compiled(fault))

    assert caught.value.hint == f"its whole log is {store.logs / NAME}.1.log"
    assert nothing_is_left(store)


def test_failure_that_comes_and_goes_is_tried_once_more(store: Store, tmp_path: Path) -> None:
    told = Told()
    done = run(store, compiled("flake", mark=tmp_path / "tried"), told)

    assert done.entry is not None
    assert done.entry.state is State.COMPLETE
    assert [failure.split(" after")[0] for failure in told.failures] == [
        "the compile exited with code 70"
    ]
    assert len(logs(store)) == 2


def test_failure_that_stays_is_tried_no_more_than_twice(store: Store) -> None:
    told = Told()
    with pytest.raises(ArtefactError, match="exited with code 70"):
        run(store, compiled("flake"), told)

    assert len(told.failures) == 1
    assert nothing_is_left(store)


def test_compile_that_takes_too_long_is_stopped(store: Store) -> None:
    with pytest.raises(ArtefactError, match="not done within 500ms and was stopped"):
        run(store, compiled("hang", timeout_s=0.5))

    assert nothing_is_left(store)


def test_program_that_is_not_there_is_told(store: Store) -> None:
    def command(artefact: Path, work: Path) -> Command:
        return Command(argv=("/no/such/inference_demo",))

    with pytest.raises(ReplicaStartError, match="/no/such/inference_demo cannot be run"):
        run(store, replace(compiled(), command=command))
    assert nothing_is_left(store)


def test_command_that_cannot_be_made_leaves_nothing(store: Store) -> None:
    def command(artefact: Path, work: Path) -> Command:
        raise ConfigError("engine.python: its bin folder has no inference_demo")

    with pytest.raises(ConfigError, match="no inference_demo"):
        run(store, replace(compiled(), command=command))
    assert nothing_is_left(store)


def test_only_so_many_logs_are_kept(store: Store) -> None:
    store.logs.mkdir(parents=True)
    for number in range(1, 15):
        (store.logs / f"{NAME}.{number}.log").touch()
    run(store, compiled())

    assert sorted(int(path.suffixes[0][1:]) for path in store.logs.iterdir()) == [*range(6, 16)]


@pytest.mark.parametrize("fault", ["hang", "daemon"])
def test_compile_that_is_stopped_leaves_nothing(store: Store, fault: str) -> None:
    async def stop_it() -> None:
        told = Told()
        compile_ = work(store, compiled(fault), told)
        task = asyncio.create_task(compile_.run())
        await until(lambda: "compiling" in told.lines)
        assert (store.building(NAME) / "artefact" / "neuron_config.json").exists()
        compile_.ask_to_stop()
        compile_.kill()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop_it())
    assert nothing_is_left(store)


def test_second_compile_waits_for_the_first_and_takes_its_artefact(
    store: Store, tmp_path: Path
) -> None:
    go = tmp_path / "go"

    async def both() -> tuple[Compiled, Compiled, Told]:
        first_told, told = Told(), Told()
        first = asyncio.create_task(work(store, compiled("wait", mark=go), first_told).run())
        await until(lambda: first_told.stages)
        second = asyncio.create_task(work(store, compiled("abort"), told).run())
        await until(lambda: told.holders)
        go.touch()
        return await first, await second, told

    first, second, told = asyncio.run(both())
    assert (first.was_there, second.was_there) == (False, True)
    assert told.holders[0].startswith(f"pid {os.getpid()} (")
    assert len(logs(store)) == 1


def test_who_waited_for_a_compile_takes_its_artefact_though_replicas_run_from_it_by_then(
    store: Store, tmp_path: Path
) -> None:
    go = tmp_path / "go"

    async def compile_and_serve() -> Compiled:
        told, waiting = Told(), Told()
        first = asyncio.create_task(work(store, compiled("wait", mark=go), told).run())
        await until(lambda: told.stages)
        second = asyncio.create_task(work(store, compiled(), waiting).run())
        await until(lambda: waiting.holders)
        go.touch()
        await first
        deployment = with_store(store.root, CompiledEngine(compiled()))
        async with running(deployment, root=tmp_path / "state"):
            return await second

    assert asyncio.run(compile_and_serve()).was_there


def test_artefact_that_replicas_run_from_is_not_replaced(store: Store) -> None:
    async def force_while_it_runs() -> None:
        await work(store, compiled()).run()
        deployment = with_store(store.root, CompiledEngine(compiled()))
        async with running(deployment, root=store.root.parent / "state"):
            assert (await work(store, compiled()).run()).was_there
            with pytest.raises(ArtefactError, match="is in use by pid"):
                await work(store, compiled(), force=True).run()

    asyncio.run(force_while_it_runs())
    assert store.entry(NAME).state is State.COMPLETE
