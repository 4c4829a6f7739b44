"""Making an artefact by a program of its own, such as NxD Inference's compile.

The program runs under a keeper, so nothing of it outlives this process, and works in folders of its
own, so nothing half-written is left of it, whatever dies. Whoever calls this holds the artefact's
lock; so what carries its tag when it begins is left of a compile that was killed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Protocol

from replicore.artefacts.building import Building, building, check_outputs, publish, writable
from replicore.artefacts.digest import digest
from replicore.artefacts.files import files_to_record, record_file
from replicore.artefacts.stages import Stages
from replicore.artefacts.store import Entry, Store
from replicore.deploy.exits import Exit, with_last_lines
from replicore.deploy.logs import LogReader
from replicore.deploy.process import Job, Process
from replicore.deploy.state import KEPT_LOGS, log_files, rotated
from replicore.deploy.strays import become_subreaper, kill_strays
from replicore.engines.command import Command
from replicore.engines.recipe import Recipe, Stage
from replicore.errors import ArtefactError
from replicore.units import format_duration

# In the environment of all that a compile starts: of which artefact it is.
COMPILE_VARIABLE = "REPLICORE_COMPILE"

_GRACE_S = 10.0
_READ_S = 0.2

# A keeper kills on time. One that does not is itself stopped, or swapped out.
_KEEPER_MARGIN_S = 5.0


class Watch(Protocol):
    """Is told how a compile goes on; called from one thread."""

    def waiting(self, holders: str) -> None:
        """Somebody else makes the same artefact, and is waited for."""
        ...

    def stage(self, label: str, number: int, total: int) -> None:
        """A stage begins, the first one with number 1."""
        ...

    def line(self, text: str) -> None:
        """The program has printed a line."""
        ...

    def again(self, problem: str) -> None:
        """It failed as it sometimes does without a reason, and is tried once more."""
        ...


class Progress:
    """Follows a log: tells what it says, and remembers whether a known flake was in it."""

    def __init__(self, watch: Watch, stages: Iterable[Stage], flaky: Iterable[str] = ()) -> None:
        self.is_flaky = False
        self._watch = watch
        self._stages = Stages(tuple(stages))
        self._flaky = [re.compile(pattern) for pattern in flaky]

    async def follow(self, process: Process, reader: LogReader) -> Exit:
        """Return the end of the process, once all is read that it printed."""
        ended = asyncio.ensure_future(process.wait())
        while not ended.done():
            await asyncio.wait({ended}, timeout=_READ_S)
            self.take(reader.read())
        end = ended.result()
        self.take([*reader.read(), *end.last_lines[-1:]])  # the very last line may have no end
        return end

    async def follow_for_ever(self, reader: LogReader) -> None:
        """Read until cancelled."""
        while True:
            self.take(reader.read())
            await asyncio.sleep(_READ_S)

    def take(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.is_flaky |= any(pattern.search(line) for pattern in self._flaky)
            if self._stages.read(line):
                stages = self._stages
                self._watch.stage(stages.label, stages.reached, stages.total)
            self._watch.line(line)


class Maker:
    """Makes one artefact; :meth:`make` may be cancelled at any time.

    Args:
        recipe: With a command.
    """

    def __init__(self, store: Store, recipe: Recipe, watch: Watch) -> None:
        self._store = store
        self._recipe = recipe
        self._watch = watch
        self._name = digest(recipe.fields)
        self._tag = {COMPILE_VARIABLE: str(store.path(self._name))}
        self._grace_s = _GRACE_S
        self._process: Process | None = None

    async def make(self, command: Callable[[Path, Path], Command]) -> Entry:
        """Return the artefact, made anew; a failure that the recipe calls flaky is tried again.

        Raises:
            ArtefactError: It could not be made; nothing half-written is left.
            ReplicaStartError: The program cannot be run.
        """
        become_subreaper()
        await kill_strays(self._tag)
        progress = self._progress()
        try:
            return await self._try(command, progress)
        except ArtefactError as error:
            if not progress.is_flaky:
                raise
            self._watch.again(error.message)
        return await self._try(command, self._progress())

    def kill(self) -> None:
        """End the program without grace."""
        self._grace_s = 0
        if self._process is not None:
            self._process.stop(0)

    def _progress(self) -> Progress:
        return Progress(self._watch, self._recipe.stages, self._recipe.flaky)

    async def _try(self, command: Callable[[Path, Path], Command], progress: Progress) -> Entry:
        began = time.monotonic()
        with building(self._store, self._name) as made:
            log = self._new_log()
            job = self._job(command(made.artefact, made.work), log)
            with closing(LogReader(self._store.root, self._name, last=0)) as reader:
                end = await self._run(job, reader, progress)
            seconds = time.monotonic() - began
            if end.code != 0:
                raise _failed(f"the compile {end} after {seconds:.0f} s", end, log)
            check_outputs(self._store, made.artefact, self._recipe, log=log)
            return await self._publish(made, seconds)

    async def _run(self, job: Job, reader: LogReader, progress: Progress) -> Exit:
        """Return the program's end; nothing of it is left, also after a cancellation."""
        process = self._process = await _start(job)
        limit = self._recipe.timeout_s
        try:
            async with asyncio.timeout(limit):
                return await progress.follow(process, reader)
        except TimeoutError:
            late = f"the compile was not done within {format_duration(limit)} and was stopped"
            raise _failed(late, await self._end(process), job.log) from None
        finally:
            await self._end(process)

    async def _end(self, process: Process) -> Exit:
        """Stop the process, if it still runs; return once nothing of it is left."""
        process.stop(self._grace_s)
        try:
            async with asyncio.timeout(self._grace_s + _KEEPER_MARGIN_S):
                return await process.wait()
        except TimeoutError:
            process.kill_keeper()
            return await process.wait()

    async def _publish(self, made: Building, seconds: float) -> Entry:
        with writable(self._store):
            files = [
                # One at a time, so that Ctrl-C need not wait for all of what may be 100 GB.
                await asyncio.to_thread(record_file, made.artefact, path)
                for path in files_to_record(made.artefact, self._recipe.outputs)
            ]
        return publish(self._store, self._recipe, made, files, seconds=seconds)

    def _job(self, command: Command, log: Path) -> Job:
        return Job(
            argv=command.argv,
            env=command.env,
            unset=command.unset,
            cpus=command.affinity,
            segments=command.segments,
            tag=self._tag,
            log=log,
            grace_s=self._grace_s,
        )

    def _new_log(self) -> Path:
        """Return where the next try logs to, and delete the logs of those long past."""
        with writable(self._store):
            self._store.logs.mkdir(exist_ok=True)
            past = log_files(self._store.root, self._name)
            for path in past[: -(KEPT_LOGS - 1)]:
                path.unlink(missing_ok=True)
                rotated(path).unlink(missing_ok=True)
        number = int(past[-1].suffixes[-2].lstrip(".")) + 1 if past else 1
        return self._store.logs / f"{self._name}.{number}.log"


async def _start(job: Job) -> Process:
    try:
        return await Process.start(job)
    except OSError as error:  # no process, file or memory left just now
        reason = error.strerror or "its keeper does not answer"
        raise ArtefactError(f"the compile could not be started: {reason}") from error


def _failed(sentence: str, end: Exit, log: Path) -> ArtefactError:
    where = f"its whole log is {log}"
    hint = f"{end.hint}; {where}" if end.hint else where
    return ArtefactError(with_last_lines(sentence, end.last_lines), hint=hint)
