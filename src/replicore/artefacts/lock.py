"""Who may use an artefact, and who may make or remove it.

One flock(2) lock for each artefact, in ``.locks`` beside them: shared for whoever uses it,
exclusive for whoever makes it, replaces it or removes it. The kernel drops it with the process,
however that dies, and over NFS it holds between machines too. The file is not inside the artefact,
because that comes and goes as a whole. Its time of change is when the artefact was last used.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from replicore.errors import ArtefactError

_POLL_S = 0.2
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_SOMEBODY = "a process of another machine, or of another container"
_LONGEST_COMMAND = 60  # characters


class Lock:
    """A lock that is held until :meth:`close`; :func:`try_lock` makes one."""

    def __init__(self, path: Path, fd: int | None) -> None:
        self.path = path
        self._fd = fd

    def touch(self) -> None:
        """Note that the artefact is used now."""
        if self._fd is not None:
            with suppress(OSError):  # the file is another user's, or cannot be written by anybody
                os.utime(self._fd)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def try_lock(path: Path, *, exclusive: bool) -> Lock | None:
    """Return the lock, or None where somebody else's is in the way.

    Raises:
        ArtefactError: The folder cannot be written.
    """
    while True:
        fd = _open(path, exclusive=exclusive)
        if fd is None:
            return Lock(path, None)
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        if _is_still_there(path, fd):
            return Lock(path, fd)
        os.close(fd)  # it was removed before it was ours: this lock holds nobody off


async def wait_for_maker(path: Path, *, waiting: Callable[[str], None]) -> bool:
    """Return once nobody makes or removes the artefact, and whether anybody did.

    Those who use it are no reason to wait.

    Args:
        waiting: Called once with who does, if somebody does.

    Raises:
        ArtefactError: The folder cannot be used.
    """
    has_waited = False
    while (lock := try_lock(path, exclusive=False)) is None:
        if not has_waited:
            waiting(describe_holders(path))
            has_waited = True
        await asyncio.sleep(_POLL_S)  # the kernel would wait for us, but not be cancelled
    lock.close()
    return has_waited


def describe_holders(path: Path) -> str:
    """Return who has the lock: pids and commands, as far as this process may know them."""
    try:
        found = path.stat()
    except OSError:
        return _SOMEBODY
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    pids = sorted(set(_pids_with(device)) - {0})  # 0: in another pid namespace
    return ", ".join(_describe(pid) for pid in pids) or _SOMEBODY


def _open(path: Path, *, exclusive: bool) -> int | None:
    """Open the lock's file; None where there is none to open and no need for one.

    Whoever only uses artefacts may not be allowed to write there: they are another user's, or on a
    read-only mount, and then nothing on this side removes them.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if exclusive or error.errno not in _NOT_ALLOWED:
            raise ArtefactError(
                f"the artefacts' folder {path.parent.parent} cannot be used: {error.strerror}"
            ) from error
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _is_still_there(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _pids_with(device: str) -> list[int]:
    """Read ``/proc/locks``: ``1: FLOCK ADVISORY WRITE 4711 fe:00:2564606 0 EOF``."""
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    rows = (line.split() for line in lines)
    return [int(row[4]) for row in rows if row[1] == "FLOCK" and row[5] == device]


def _describe(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        words = []
    command = " ".join(words).strip()
    if len(command) > _LONGEST_COMMAND:
        command = f"{command[: _LONGEST_COMMAND - 3]}..."
    return f"pid {pid} ({command})" if command else f"pid {pid}"
