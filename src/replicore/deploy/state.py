"""What a deployment keeps on disk, and how two of them stay out of each other's way.

::

    <root>/.claims                 locked while somebody looks at or changes who holds which cores
    <root>/<name>/lock             locked for as long as the deployment's supervisor lives
                  state.json       the last known facts, replaced as a whole
                  control.sock     where the supervisor answers
                  logs/r0.3.log    third incarnation of replica 0

Both locks are flock(2) locks: they belong to an open file, not to a pid, and the kernel drops them
with the process, however it dies. To see whether a deployment lives one has to try its lock, and
that only with ``.claims`` locked: a look must not make a starting ``up`` see a lock taken.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from uuid import uuid4

import msgspec
import platformdirs
from msgspec.structs import replace

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy import keeper
from replicore.errors import ConfigError, DeploymentError
from replicore.files import write_atomically
from replicore.wording import nearest

ROOT_VARIABLE = "REPLICORE_STATE_DIR"

_CLAIMS = ".claims"  # no deployment can have this name
KEPT_LOGS = 10

_CLAIMS_TIMEOUT_S = 10.0
_CLAIMS_POLL_S = 0.02

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ProcessIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A process that cannot be mistaken for a later one with the same pid.

    Attributes:
        start_ticks: When it started, in clock ticks since the boot.
    """

    pid: int
    start_ticks: int


class UnitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A replica, or the gateway, as last seen.

    Attributes:
        incarnation: Starts so far; the next one gets the next number, also after ``down``.
        cores: Text of its core range.
    """

    name: str
    incarnation: int = 0
    cores: str = ""
    port: int | None = None
    keeper: ProcessIdentity | None = None
    process: ProcessIdentity | None = None


class DeploymentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``state.json``.

    Attributes:
        id: Of one ``up``; every process of it has it in its environment.
        last_id: Of the ``up`` before it, some of whose processes may still be there.
        boot_id: Of the boot that pids and ticks belong to.
        machine: Kind of the machine whose cores it holds.
        cores: Text of all its cores; empty where it holds none (simulated ones).
    """

    id: str
    last_id: str | None = None
    name: str
    boot_id: str
    supervisor: ProcessIdentity
    machine: str
    cores: str = ""
    url: str | None = None
    units: tuple[UnitRecord, ...] = ()

    def unit(self, name: str) -> UnitRecord:
        """Return what is known of a replica or the gateway; a fresh record if nothing is."""
        return next((unit for unit in self.units if unit.name == name), UnitRecord(name=name))


def state_root() -> Path:
    """Return the folder of all deployments of this user."""
    chosen = os.environ.get(ROOT_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_state_path("replicore")


def boot_id() -> str:
    """Return the id that the kernel made up at this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read_record(folder: Path) -> DeploymentRecord | None:
    """Return what the folder says; None where it says nothing that this version can read."""
    try:
        return msgspec.json.decode((folder / "state.json").read_bytes(), type=DeploymentRecord)
    except (OSError, msgspec.DecodeError):
        return None


class DeploymentFolder:
    """The state folder of one deployment, held by its supervisor until :meth:`close`.

    Attributes:
        record: What ``state.json`` says.
    """

    def __init__(self, path: Path, lock: int, record: DeploymentRecord) -> None:
        self.path = path
        self.record = record
        self._lock = lock

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def log(self, unit: str, incarnation: int) -> Path:
        """Return where an incarnation logs to, and delete the logs of those long past."""
        self.logs.mkdir(exist_ok=True)
        for path in log_files(self.path, unit)[: -(KEPT_LOGS - 1)]:
            path.unlink(missing_ok=True)
            rotated(path).unlink(missing_ok=True)
        return self.logs / f"{unit}.{incarnation}.log"

    def write(self, record: DeploymentRecord) -> None:
        """Replace ``state.json``; after a crash it holds the old or the new state, whole."""
        data = msgspec.json.format(msgspec.json.encode(record))
        write_atomically(self.path / "state.json", data)
        self.record = record

    def close(self) -> None:
        """Let go of the folder: the deployment is over."""
        os.close(self._lock)


def log_files(folder: Path, unit: str) -> list[Path]:
    """Return the logs of a replica or the gateway, one for each incarnation, oldest first.

    One that is just being rotated may be missing; it still has its :func:`rotated` part.
    """
    numbered = re.compile(rf"{re.escape(unit)}\.(\d+)\.log(\.1)?")
    found = (numbered.fullmatch(path.name) for path in (folder / "logs").glob("*.log*"))
    incarnations = sorted({int(match[1]) for match in found if match})
    return [folder / "logs" / f"{unit}.{incarnation}.log" for incarnation in incarnations]


def rotated(log: Path) -> Path:
    """Return where the older part of a log is, once it has been rotated."""
    return log.with_name(f"{log.name}.1")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A deployment that is alive."""

    path: Path
    record: DeploymentRecord | None

    @property
    def name(self) -> str:
        return self.path.name


class Claims:
    """The right to look at, and to change, who holds which cores; enter it, and leave it soon.

    Planning and claiming inside one ``with`` is what makes two ``up`` at once safe.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._fd: int | None = None

    def __enter__(self) -> Claims:
        with _usable(self.root):
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(self.root / _CLAIMS, os.O_RDWR | os.O_CREAT, 0o600)
        _lock_patiently(self._fd, self.root)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def running(self) -> list[Neighbour]:
        """Return the deployments that are alive, by name."""
        folders = sorted(lock.parent for lock in self.root.glob("*/lock"))
        return [Neighbour(path, read_record(path)) for path in folders if _is_locked(path / "lock")]

    def taken(self, machine: str) -> CoreRange:
        """Return the cores that deployments hold on a machine of this kind."""
        cores = NO_CORES
        for held in self._holders(machine).values():
            cores |= held
        return cores

    def claim(self, name: str, machine: str, cores: CoreRange) -> DeploymentFolder:
        """Take the name and the cores.

        Args:
            cores: Empty where there is nothing to take: simulated cores.

        Raises:
            ConfigError: No folder can have the name.
            DeploymentError: The name or one of the cores is taken.
        """
        self._refuse_taken(name, machine, cores)
        path, lock = self._take_name(name)
        folder = DeploymentFolder(path, lock, _fresh_record(path, machine, cores))
        with _usable(self.root):
            folder.write(folder.record)
        return folder

    def _take_name(self, name: str) -> tuple[Path, int]:
        """Return the folder of that name, and its lock."""
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f'name: "{name}" cannot name a folder; use letters, digits, ".", "_" and "-", '
                f"at most 64, the first a letter or a digit"
            )
        path = self.root / name
        path.mkdir(exist_ok=True, mode=0o700)
        lock = _try_lock(path / "lock")
        if lock is None:
            raise _already_running(name, read_record(path))
        return path, lock

    def _refuse_taken(self, name: str, machine: str, cores: CoreRange) -> None:
        for holder, held in self._holders(machine).items():
            both = held & cores
            if both and holder != name:
                raise DeploymentError(
                    f'core{"s" * (len(both) > 1)} {both}, wanted by "{name}", '
                    f'{"are" if len(both) > 1 else "is"} held by the deployment "{holder}"',
                    hint=f"`replicore down {holder}` frees {held}; `layout.cores` chooses others",
                )

    def _holders(self, machine: str) -> dict[str, CoreRange]:
        records = (neighbour.record for neighbour in self.running())
        return {
            record.name: CoreRange.parse(record.cores)
            for record in records
            if record is not None and record.machine == machine and record.cores
        }


def _fresh_record(folder: Path, machine: str, cores: CoreRange) -> DeploymentRecord:
    """Return the record of a new ``up``; ports and incarnations go on from the last one's."""
    last = read_record(folder)
    units = last.units if last else ()
    return DeploymentRecord(
        id=uuid4().hex,
        last_id=last.id if last else None,
        name=folder.name,
        boot_id=boot_id(),
        supervisor=identify(os.getpid()),
        machine=machine,
        cores=str(cores),
        units=tuple(replace(unit, keeper=None, process=None) for unit in units),
    )


def identify(pid: int) -> ProcessIdentity:
    """Return the identity of a process that runs now."""
    return ProcessIdentity(pid=pid, start_ticks=keeper.start_ticks(pid) or 0)


def no_such_replica(name: str, deployment: str, known: Collection[str]) -> DeploymentError:
    """Return the error for a replica, or gateway, that a deployment does not have."""
    close = nearest(name, known)
    return DeploymentError(
        f'there is no replica "{name}" in the deployment "{deployment}" '
        f"(valid: {', '.join(known)}){f'; did you mean {close}?' if close else ''}"
    )


def _already_running(name: str, record: DeploymentRecord | None) -> DeploymentError:
    where = f", pid {record.supervisor.pid}" if record else ""
    return DeploymentError(
        f'the deployment "{name}" is running already{where}',
        hint=f"`replicore down {name}` stops it; `--name` starts another one beside it",
    )


@contextmanager
def _usable(root: Path) -> Iterator[None]:
    """Tell the user of a folder that is not writable, or has no space; it is not a bug."""
    try:
        yield
    except OSError as error:
        raise DeploymentError(
            f"the state folder {root} cannot be used: {error.strerror or error}",
            hint=f"{ROOT_VARIABLE} names another folder",
        ) from error


def _try_lock(path: Path) -> int | None:
    """Return an open, locked file, or None where somebody else has the lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _is_locked(path: Path) -> bool:
    lock = _try_lock(path)
    if lock is None:
        return True
    os.close(lock)
    return False


def _lock_patiently(fd: int, root: Path) -> None:
    deadline = time.monotonic() + _CLAIMS_TIMEOUT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DeploymentError(
                    f"{root / _CLAIMS} has been locked for {_CLAIMS_TIMEOUT_S:g} s",
                    hint="a suspended `replicore` holds it; resume or kill that one",
                ) from None
            time.sleep(_CLAIMS_POLL_S)
        else:
            return
