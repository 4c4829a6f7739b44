"""A process under its keeper: how it starts, how it ends, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from replicore.cores import CoreRange
from replicore.deploy import keeper
from replicore.deploy.exits import Exit
from replicore.deploy.process import Job, Process
from replicore.deploy.strays import become_subreaper, find_strays
from replicore.errors import ReplicaStartError
from tests.integration.deploy.deployments import DEADLINE_S, is_alive, until, wait_until

# Prints that it is up, then what the test adds; without site-packages it starts in no time.
PRELUDE = "import os, signal, sys, time; print('up', flush=True); "
FOREVER = "[signal.pause() for _ in iter(int, 1)]"
DAEMON = (
    "os.fork() or (os.setsid(), signal.signal(signal.SIGTERM, signal.SIG_IGN), "
    "print('daemon', os.getpid(), flush=True), " + FOREVER + "); "
)


class Sandbox:
    """Starts one Python program under a keeper."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "p.1.log"
        self.tag = {"TEST_JOB": uuid4().hex}

    def job(self, program: str, **options: object) -> Job:
        argv = (sys.executable, "-I", "-S", "-c", PRELUDE + program)
        return Job(**{"argv": argv, "tag": self.tag, "log": self.log, "grace_s": 5.0, **options})  # type: ignore[arg-type]

    @asynccontextmanager
    async def running(self, program: str, **options: object) -> AsyncIterator[Process]:
        """Run the program until the block ends, and at least until it has said that it is up."""
        process = await Process.start(self.job(program, **options))
        try:
            await until(lambda: "up" in self.printed())
            yield process
        finally:
            process.stop(0)
            await process.wait()

    async def end(self, program: str, **options: object) -> Exit:
        """Return how the program ends by itself."""
        process = await Process.start(self.job(program, **options))
        return await asyncio.wait_for(process.wait(), DEADLINE_S)

    def printed(self) -> str:
        return self.log.read_text()

    async def daemon(self) -> int:
        """Return the pid that the program's daemon has printed."""
        await until(lambda: re.search(r"daemon (\d+)\n", self.printed()))
        return int(re.findall(r"daemon (\d+)\n", self.printed())[0])


@pytest.fixture(name="sandbox")
def _sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def test_exit_code_and_last_lines_come_back(sandbox: Sandbox) -> None:
    end = asyncio.run(sandbox.end("print('bad', file=sys.stderr); sys.exit(3)"))

    assert end == Exit(code=3, last_lines=("up", "bad"))
    assert sandbox.printed() == "up\nbad\n"


def test_signal_comes_back_by_name(sandbox: Sandbox) -> None:
    end = asyncio.run(sandbox.end("os.kill(os.getpid(), signal.SIGSEGV)"))

    assert end == Exit(signal="SIGSEGV", last_lines=("up",))


def test_cause_that_is_printed_long_before_the_end_is_found(sandbox: Sandbox) -> None:
    printed = "print('OSError: [Errno 28] No space left on device'); print('frame\\n' * 200)"

    end = asyncio.run(sandbox.end(f"{printed}; sys.exit(1)"))

    assert "No space left" not in "".join(end.last_lines)
    assert "file system is full" in (end.hint or "")


def test_output_without_a_newline_is_not_lost(sandbox: Sandbox) -> None:
    end = asyncio.run(sandbox.end("sys.stdout.write('no newline')"))

    assert end.last_lines == ("up", "no newline")


def test_output_of_a_chatty_process_is_all_in_the_log(sandbox: Sandbox) -> None:
    end = asyncio.run(sandbox.end("sys.stdout.write('0123456789abcde\\n' * 100_000)"))

    assert end.code == 0
    assert len(sandbox.printed()) == len("up\n") + 16 * 100_000


def test_program_that_does_not_exist_cannot_be_started(sandbox: Sandbox) -> None:
    with pytest.raises(ReplicaStartError, match=r"/no/such cannot be run: .*No such file"):
        asyncio.run(sandbox.end("", argv=("/no/such",)))


def test_start_that_fails_for_want_of_a_log_leaves_no_file_open(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async def start() -> None:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(FileNotFoundError) as kept:  # with its frames, and what those hold
            await Process.start(sandbox.job("", log=tmp_path / "none" / "p.1.log"))

        assert os.listdir("/proc/self/fd") == before
        assert kept.tb is not None

    asyncio.run(start())


def test_keeper_that_dies_at_its_start_is_no_reason_not_to_try_again(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = tmp_path / "dead.py"
    dead.touch()
    monkeypatch.setattr(keeper, "__file__", str(dead))

    with pytest.raises(ChildProcessError, match="its keeper died at its start"):
        asyncio.run(sandbox.end(""))


def test_process_is_stopped_with_sigterm(sandbox: Sandbox) -> None:
    async def scenario() -> Exit:
        async with sandbox.running(FOREVER) as process:
            process.stop(5)
            return await process.wait()

    assert asyncio.run(scenario()).signal == "SIGTERM"


def test_process_ignoring_sigterm_is_killed_after_grace(sandbox: Sandbox) -> None:
    program = "signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True)); " + FOREVER

    async def scenario() -> Exit:
        async with sandbox.running(program) as process:
            process.stop(0.2)
            return await process.wait()

    assert asyncio.run(scenario()) == Exit(signal="SIGKILL", last_lines=("up", "no"))


def test_second_stop_can_only_bring_the_end_forward(sandbox: Sandbox) -> None:
    program = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER

    async def scenario() -> Exit:
        async with sandbox.running(program) as process:
            process.stop(3600)
            process.stop(0)
            process.stop(3600)
            return await asyncio.wait_for(process.wait(), DEADLINE_S)

    assert asyncio.run(scenario()).signal == "SIGKILL"


def test_sigterm_to_the_keeper_stops_the_process(sandbox: Sandbox) -> None:
    async def scenario() -> Exit:
        async with sandbox.running(FOREVER) as process:
            os.kill(process.keeper_pid, signal.SIGTERM)
            return await process.wait()

    assert asyncio.run(scenario()).signal == "SIGTERM"


def test_process_runs_on_its_cores_only(sandbox: Sandbox) -> None:
    core = min(os.sched_getaffinity(0))
    program = "print('cores', *os.sched_getaffinity(0))"
    end = asyncio.run(sandbox.end(program, cpus=CoreRange.of([core])))

    assert end.last_lines == ("up", f"cores {core}")


def test_environment_is_set_unset_and_inherited(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    monkeypatch.setenv("UNWANTED", "yes")
    program = "print([os.environ.get(k) for k in ('INHERITED', 'UNWANTED', 'SET')])"
    end = asyncio.run(sandbox.end(program, env={"SET": "new"}, unset=("UNWANTED",)))

    assert end.last_lines == ("up", "['yes', None, 'new']")


def test_process_inherits_no_open_file_and_no_ignored_signal(sandbox: Sandbox) -> None:
    program = (
        "print(sorted(os.listdir('/proc/self/fd'))); "
        "print([line for line in open('/proc/self/status') if line.startswith('SigIgn')])"
    )
    end = asyncio.run(sandbox.end(program))

    # The fourth is the folder that is being listed. Python itself ignores SIGPIPE and SIGXFSZ.
    assert end.last_lines[1] == "['0', '1', '2', '3']"
    assert "SigIgn:\\t0000000001001000" in end.last_lines[2]


def test_process_has_a_session_of_its_own(sandbox: Sandbox) -> None:
    end = asyncio.run(sandbox.end("print(os.getsid(0) == os.getpgid(0) == os.getpid())"))

    assert end.last_lines == ("up", "True")


def test_passed_file_descriptor_arrives(sandbox: Sandbox) -> None:
    read, write = os.pipe()
    asyncio.run(sandbox.end(f"os.write({write}, b'hello')", pass_fds=(write,)))
    os.close(write)

    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"hello"


def test_daemon_that_ignores_sigterm_dies_with_its_process(sandbox: Sandbox) -> None:
    async def scenario() -> tuple[int, Exit]:
        async with sandbox.running(DAEMON + FOREVER) as process:
            daemon = await sandbox.daemon()
            process.stop(5)
            return daemon, await process.wait()

    daemon, end = asyncio.run(scenario())

    assert end.signal == "SIGTERM"
    assert not is_alive(daemon)


def test_daemon_dies_when_its_process_exits_by_itself(sandbox: Sandbox) -> None:
    end = asyncio.run(sandbox.end(DAEMON + "sys.exit(1)"))

    assert end.code == 1
    assert find_strays(sandbox.tag) == []


def test_process_and_daemon_die_with_the_keeper(sandbox: Sandbox) -> None:
    become_subreaper()

    async def scenario() -> Exit:
        async with sandbox.running(DAEMON + FOREVER) as process:
            await sandbox.daemon()
            os.kill(process.keeper_pid, signal.SIGKILL)
            return await process.wait()

    assert asyncio.run(scenario()) == Exit()
    assert find_strays(sandbox.tag) == []


def test_stop_in_the_moment_of_the_keepers_death_does_not_hide_the_end(sandbox: Sandbox) -> None:
    async def scenario() -> Exit:
        async with sandbox.running(FOREVER) as process:
            os.kill(process.keeper_pid, signal.SIGKILL)
            os.waitid(os.P_PID, process.keeper_pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
            process.stop(0)  # nothing has told the event loop of the end yet
            return await process.wait()

    assert asyncio.run(scenario()) == Exit()
    assert find_strays(sandbox.tag) == []


def test_keeper_that_is_stopped_can_be_killed_with_its_process(sandbox: Sandbox) -> None:
    async def scenario() -> Exit:
        async with sandbox.running(FOREVER) as process:
            os.kill(process.keeper_pid, signal.SIGSTOP)
            process.kill_keeper()
            return await process.wait()

    assert asyncio.run(scenario()) == Exit()
    assert find_strays(sandbox.tag) == []


def test_start_that_is_cancelled_leaves_nothing(sandbox: Sandbox) -> None:
    async def scenario() -> None:
        start = asyncio.create_task(Process.start(sandbox.job(FOREVER)))
        await until(lambda: find_strays(sandbox.tag))
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        if not start.cancelled():  # it was faster
            start.result().stop(0)
            await start.result().wait()

    asyncio.run(scenario())

    assert wait_until(lambda: find_strays(sandbox.tag) == [])


def shares_memory(path: Path) -> str:
    """Return a program that maps a new file and forks a daemon that maps it too."""
    return (
        f"import mmap; fd = os.open({str(path)!r}, os.O_CREAT | os.O_RDWR); os.ftruncate(fd, 4096);"
        f" held = mmap.mmap(fd, 4096); {DAEMON}"
    )


@pytest.fixture(name="segment")
def _segment() -> Iterator[Path]:
    path = Path("/dev/shm") / f"replicore-test-{uuid4().hex}"
    yield path
    path.unlink(missing_ok=True)


def test_memory_that_a_process_shares_loses_its_name_and_stays(
    sandbox: Sandbox, segment: Path
) -> None:
    async def scenario() -> bool:
        program = shares_memory(segment) + FOREVER
        async with sandbox.running(program, segments=("replicore-",)) as process:
            await sandbox.daemon()
            await until(segment.exists)
            process.unlink_segments()
            await until(lambda: not segment.exists())
            return is_alive(process.pid)

    assert asyncio.run(scenario())


def test_memory_with_another_prefix_keeps_its_name(sandbox: Sandbox, segment: Path) -> None:
    end = asyncio.run(sandbox.end(shares_memory(segment), segments=("other-",)))

    assert end.code == 0
    assert segment.exists()


def test_memory_that_is_shared_with_a_daemon_does_not_outlive_a_kill(
    sandbox: Sandbox, segment: Path
) -> None:
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    end = asyncio.run(sandbox.end(shares_memory(segment) + kill, segments=("replicore-",)))

    assert end.signal == "SIGKILL"
    assert not segment.exists()


def test_memory_does_not_outlive_a_killed_keeper(sandbox: Sandbox, segment: Path) -> None:
    async def scenario() -> None:
        become_subreaper()
        program = shares_memory(segment) + FOREVER
        async with sandbox.running(program, segments=("replicore-",)) as process:
            await sandbox.daemon()
            process.kill_keeper()
            await process.wait()

    asyncio.run(scenario())

    assert not segment.exists()
