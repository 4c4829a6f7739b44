"""A keeper: runs one process, writes its log, and leaves nothing of it behind, whatever dies.

Run by path, ``python -I -S keeper.py FD PPID``: the standard library only and no ``site``, because
a deployment starts as fast as its keepers do. ``FD`` is one end of a socket pair; the supervisor
(pid ``PPID``) holds the other. One JSON object a line. The supervisor sends the job, later
``{"unlink": "segments"}`` once it serves, and perhaps ``{"stop": seconds}``; the keeper sends
``{"event": "started" | "failed" | "exited", ...}`` and exits after the last two.

What dies, and who then kills what:

- *The process exits.* The keeper is a subreaper (PR_SET_CHILD_SUBREAPER), so whatever the process
  forked becomes the keeper's child when its own parent dies, also a daemon in a session of its
  own. The keeper kills its children until it has none, and unlinks what they share in ``/dev/shm``.
- *The supervisor dies.* The socket's end of file says so, and SIGHUP as parent-death signal says
  it again, for the case that a fork of the supervisor still holds the socket. The keeper kills at
  once.
- *The keeper dies.* The process has SIGKILL as its parent-death signal. That covers only the direct
  child (PR_SET_PDEATHSIG(2const)); the rest falls to the supervisor, a subreaper too, which knows
  its own by their environment (``strays.py``).
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

SHARED_MEMORY = "/dev/shm/"

LAST_LINES = 20
_LONGEST_LINE = 2000  # bytes; a progress bar without a newline must not grow for ever
_CHUNK = 65_536

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process or thread.

    Raises:
        OSError: The kernel refuses.
    """
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def stat_fields(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the state on; None if there is no process.

    The name before them is in parentheses and may hold spaces and parentheses of its own.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; with the pid it is unique."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def processes() -> list[int]:
    """Return the pids of all processes that this one may see."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(parent: int) -> list[int]:
    """Return the direct children of a process, zombies included."""
    # Not /proc/PID/task/TID/children: it needs CONFIG_PROC_CHILDREN.
    found = ((pid, stat_fields(pid)) for pid in processes())
    return [pid for pid, fields in found if fields and int(fields[1]) == parent]


def descendants(ancestor: int) -> list[int]:
    """Return the pids of a process's children, of theirs, and so on."""
    parents = {pid: int(fields[1]) for pid in processes() if (fields := stat_fields(pid))}
    found = [ancestor]
    for parent in found:
        found += [pid for pid, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def unlink_segments(pids: Iterable[int], prefixes: Sequence[str]) -> None:
    """Unlink the shared memory of these processes whose name has one of the prefixes.

    They keep it until they unmap it or die.
    """
    inodes = {inode for pid in pids for inode in mapped_segments(pid)} if prefixes else set()
    if not inodes:
        return
    with os.scandir(SHARED_MEMORY) as entries:
        for entry in entries:
            if entry.inode() in inodes and entry.name.startswith(tuple(prefixes)):
                with suppress(OSError):  # its own process was faster
                    os.unlink(entry.path)


def mapped_segments(pid: int) -> list[int]:
    """Return the inodes of the shared memory that a process maps."""
    # Not the paths: sem_open(3) renames what it has mapped, and the kernel goes by the first name.
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            return [int(line.split()[4]) for line in file if SHARED_MEMORY in line]
    except OSError:
        return []


class Log:
    """A file that is rotated once it is full, and the last lines that went into it."""

    def __init__(self, path: str, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - it lives as long as the keeper
        self._size = self._file.tell()
        self._lines: deque[bytes] = deque(maxlen=LAST_LINES)
        self._partial = b""

    def write(self, data: bytes) -> None:
        *lines, partial = (self._partial + data).split(b"\n")
        self._lines.extend(line[-_LONGEST_LINE:] for line in lines)
        self._partial = partial[-_LONGEST_LINE:]
        try:
            if self._size + len(data) > self._limit:
                self._rotate()
            self._size += self._file.write(data)
        except OSError:
            # A full disk costs log lines. If it stopped this loop, the pipe would fill, and the
            # engine would hang in its next print.
            pass

    def last_lines(self) -> list[str]:
        lines = [*self._lines, self._partial]
        return [line.decode("utf-8", "replace").rstrip() for line in lines if line.strip()]

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        # An earlier attempt may have come no further than this. Until one succeeds the old file
        # stays open, so that the next write tries again.
        with suppress(FileNotFoundError):
            os.replace(self._path, f"{self._path}.1")
        file = open(self._path, "ab", buffering=0)  # noqa: SIM115
        self.close()
        self._file = file
        self._size = 0


class Channel:
    """The keeper's end of the socket pair."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        # It came here by being inheritable. In the engine's hands it would hide the keeper's death.
        self._socket.set_inheritable(False)
        self._buffer = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> list[dict[str, Any]] | None:
        """Return the messages completed by one read, waiting for it; None at the end."""
        try:
            data = self._socket.recv(_CHUNK)
        except OSError:
            return None
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def send(self, **message: object) -> None:
        with suppress(OSError):  # nobody is left to be told
            self._socket.sendall(json.dumps(message).encode() + b"\n")


class Keeper:
    """One process from its start until nothing of it is left."""

    def __init__(self, channel: Channel, job: dict[str, Any]) -> None:
        self._channel = channel
        self._job = job
        self._log = Log(job["log"], job["log_bytes"])
        self._pid = 0
        self._status: int | None = None
        self._deadline: float | None = None

    def run(self) -> None:
        signals = watch_signals()
        output, output_end = os.pipe()
        self._pid, problem = spawn(self._job, output_end)
        os.close(output_end)
        if problem:
            os.waitpid(self._pid, 0)
            self._channel.send(event="failed", reason=problem)
            return
        self._channel.send(event="started", pid=self._pid)
        self._watch(signals, output)
        self._kill_children()
        self._drain(output)
        self._report()

    def _watch(self, signals: int, output: int) -> None:
        """Serve until the process has exited or its grace is over."""
        poll = select.poll()
        for fd in (signals, output, self._channel.fileno()):
            poll.register(fd, select.POLLIN)
        while self._status is None and not self._grace_is_over():
            ready = {fd for fd, _ in poll.poll(self._timeout_ms())}
            if output in ready and not self._copy(output):
                poll.unregister(output)  # it closed its output, which is no reason to kill it
            if self._channel.fileno() in ready:
                self._obey(self._channel.read())
            if signals in ready:
                self._handle(os.read(signals, _CHUNK))

    def _handle(self, signals: bytes) -> None:
        if signal.SIGHUP in signals:
            self._stop(0)
        elif signal.SIGTERM in signals or signal.SIGINT in signals:
            self._stop(self._job["grace_s"])
        self._reap(os.WNOHANG)

    def _obey(self, messages: list[dict[str, Any]] | None) -> None:
        if messages is None:
            self._stop(0)
            return
        for message in messages:
            if "stop" in message:
                self._stop(message["stop"])
            else:
                self._unlink_segments()

    def _stop(self, grace_s: float) -> None:
        """Ask the process to end, and set the time after which it is killed; never a later one."""
        if self._deadline is None and grace_s > 0:
            os.killpg(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)

    def _grace_is_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _timeout_ms(self) -> float | None:
        if self._deadline is None:
            return None
        # Rounded up: poll() must not wake just before the deadline, again and again.
        return max(self._deadline - time.monotonic(), 0) * 1000 + 1

    def _reap(self, options: int) -> bool:
        """Take the status of dead children; return whether there are living ones.

        Waits for at least one unless ``options`` has WNOHANG.
        """
        try:
            pid, status = os.waitpid(-1, options)
            while pid:
                if pid == self._pid:
                    self._status = status
                pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        return True

    def _kill_children(self) -> None:
        """Kill until no descendant is left.

        Only direct children are signalled: their pids cannot be reused before they are waited for
        here. Theirs become children when they die, so each round takes one generation. Without a
        child there is no descendant either.
        """
        alive = self._reap(os.WNOHANG)
        if alive:
            self._unlink_segments()
        while alive:
            for pid in children(os.getpid()):
                os.kill(pid, signal.SIGKILL)
            alive = self._reap(0)

    def _unlink_segments(self) -> None:
        unlink_segments(descendants(os.getpid()), self._job["segments"])

    def _copy(self, output: int) -> bool:
        data = os.read(output, _CHUNK)
        self._log.write(data)
        return bool(data)

    def _drain(self, output: int) -> None:
        # Not until the end of file: an open end may have been sent to some other process.
        os.set_blocking(output, False)
        with suppress(BlockingIOError):
            while self._copy(output):
                pass

    def _report(self) -> None:
        code, killer = exit_status(self._status)
        lines = self._log.last_lines()
        self._channel.send(event="exited", code=code, signal=killer, last_lines=lines)


def exit_status(status: int | None) -> tuple[int | None, str | None]:
    """Return exit code and signal name of a wait status; one of them is None."""
    if status is None:
        return None, None
    code = os.waitstatus_to_exitcode(status)
    return (code, None) if code >= 0 else (None, signal_name(-code))


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # real-time signals have no names of their own


def watch_signals() -> int:
    """Return a file descriptor on which each signal of interest arrives as one byte."""
    receive, send = os.pipe()
    os.set_blocking(send, False)
    signal.set_wakeup_fd(send, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return receive


def spawn(job: dict[str, Any], output: int) -> tuple[int, str]:
    """Start the job's program; return its pid, and why it could not be run, or ``""``."""
    keeper = os.getpid()
    problem, problem_end = os.pipe()  # closed by a successful exec, as both ends are CLOEXEC
    pid = os.fork()
    if pid == 0:
        try:
            become(job, output, keeper)
        except (OSError, ValueError) as error:
            os.write(problem_end, str(error).encode())
        finally:
            os._exit(127)
    os.close(problem_end)
    with open(problem, encoding="utf-8") as file:
        return pid, file.read()


def become(job: dict[str, Any], output: int, keeper: int) -> None:
    """Turn this fork of the keeper into the job's program."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it died before the line above
        os._exit(127)
    if job["cpus"]:
        os.sched_setaffinity(0, job["cpus"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # Python ignores the first two, a shell the third for what it starts in the background.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_DFL)
    inherited = {key: value for key, value in os.environ.items() if key not in job["unset"]}
    os.execvpe(job["argv"][0], job["argv"], {**inherited, **job["env"]})


def main() -> None:
    channel = Channel(int(sys.argv[1]))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != int(sys.argv[2]):
        return
    jobs = channel.read()
    while jobs == []:
        jobs = channel.read()
    if jobs:
        Keeper(channel, jobs[0]).run()


if __name__ == "__main__":
    main()
