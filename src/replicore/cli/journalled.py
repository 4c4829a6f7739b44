"""What the commands have in common that measure layouts in turn and can be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path

from replicore.bench.load.workload import Lengths, Workload
from replicore.bench.sweep.journal import NAME
from replicore.cli.serving import StopSignals
from replicore.errors import ConfigError
from replicore.spec import Spec
from replicore.units import parse_duration

_RESULTS = Path("results")


def workload_of(spec: Spec, *, ignore_eos: bool) -> Workload:
    """Return what is sent, for each run to add its seed."""
    lengths = spec.workload
    return Workload(
        input_tokens=Lengths(lengths.input_tokens.mean, lengths.input_tokens.stddev),
        output_tokens=Lengths(lengths.output_tokens.mean, lengths.output_tokens.stddev),
        ignore_eos=ignore_eos,
    )


def timeout_s(text: str) -> float:
    """Return what ``--timeout`` says, in seconds.

    Raises:
        ConfigError: It is no duration.
    """
    try:
        return parse_duration(text)
    except ConfigError as error:
        raise ConfigError(f"--timeout: {error.message}") from None


def now() -> datetime:
    return datetime.now(UTC).astimezone()


def default_folder(command: str, name: str, *, resume: bool) -> Path:
    """Return a new folder, or the one whose journal of this name was written last.

    Raises:
        ConfigError: There is none to go on with.
    """
    if not resume:
        return _RESULTS / f"{command}-{name}-{now():%Y%m%dT%H%M%S}"
    journals = _RESULTS.glob(f"{command}-{name}-*/{NAME}")
    newest = max(journals, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        raise ConfigError(
            f"--resume: there is no {command} of {name} under {_RESULTS}",
            hint="-o names its folder; without --resume a new one begins",
        )
    return newest.parent


async def until_stopped(work: Coroutine[None, None, None], kill: Callable[[], None]) -> bool:
    """Do the work; return whether a signal ended it before.

    Args:
        kill: Ends without grace what the work has started, at the second signal.
    """
    task = asyncio.create_task(work)
    StopSignals(_Stop(task, kill))
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


class _Stop:
    """What the first and the second Ctrl-C do."""

    def __init__(self, task: asyncio.Task[None], kill: Callable[[], None]) -> None:
        self._task = task
        self.kill = kill

    def ask_to_stop(self) -> None:
        self._task.cancel()
