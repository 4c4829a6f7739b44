"""``replicore up`` and the commands around it, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from replicore.cli import run
from replicore.deploy.state import state_root
from tests.integration.deploy.deployments import DEADLINE_S, wait_until

SIM = ("--engine=sim", "--set=engine.sim.cores=4", "--tp=2", "--port=0")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Replicore = Callable[..., Ended]


@pytest.fixture(name="replicore")
def _replicore(capsys: pytest.CaptureFixture[str]) -> Replicore:
    """Runs a command in this process, which spares the imports."""

    def call(*arguments: str) -> Ended:
        code = run(arguments)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return call


def argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "replicore", *arguments]


def detach(*arguments: str) -> Ended:
    ended = subprocess.run(
        argv("up", "-d", *SIM, *arguments), capture_output=True, text=True, timeout=60, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def running(*arguments: str, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Run ``up`` for the block, at most."""
    with subprocess.Popen(
        argv("up", *SIM, *arguments),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def up(*arguments: str, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """Run ``up`` in the foreground; the block begins when it has printed what it serves."""
    with running(*arguments, stderr=stderr) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready http://127.0.0.1:")
        yield process


@contextmanager
def starting(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run an ``up`` that does not become ready; the block begins when its gateway is."""
    with running('--set=engine.sim.faults=["slow-start=3600"]', *arguments) as process:
        assert process.stderr is not None
        assert any(line == "gateway ready\n" for line in process.stderr)
        yield process


@pytest.fixture(name="detached")
def _detached(replicore: Replicore) -> Iterator[None]:
    started = detach()
    assert started.code == 0, started.err
    assert started.out.startswith("ready http://127.0.0.1:")
    yield
    replicore("down")


def now(replicore: Replicore) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(replicore("status", "--json").out)
    return status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_everything_and_is_no_failure(number: signal.Signals) -> None:
    with up() as process:
        process.send_signal(number)

        assert process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)]
)
def test_only_ctrl_c_before_it_is_ready_is_a_failure(number: signal.Signals, code: int) -> None:
    with starting() as process:
        process.send_signal(number)

        assert process.wait(DEADLINE_S) == code


def test_detached_up_that_is_stopped_before_it_is_ready_has_failed(replicore: Replicore) -> None:
    with starting("-d") as process:
        assert replicore("down").code == 0

        assert process.wait(DEADLINE_S) == 130


@pytest.mark.parametrize("connect", [os.pipe, os.openpty], ids=["pipe", "terminal"])
def test_up_goes_on_when_nobody_reads_its_stderr_any_more(
    replicore: Replicore, connect: Callable[[], tuple[int, int]]
) -> None:
    reader, stderr = connect()
    with up(stderr=stderr) as process:
        os.close(stderr)
        os.close(reader)
        assert replicore("restart").code == 0
        assert now(replicore)["ready"]
        process.terminate()

        assert process.wait(DEADLINE_S) == 0


def test_up_says_which_layout_it_chose_and_why() -> None:
    with up() as process:
        process.terminate()
        _, said = process.communicate(timeout=DEADLINE_S)

    assert "layout: 2 replicas x 2 cores" in said
    assert "(r0 on 0-1, r1 on 2-3)" in said
    assert "simulated: no model answers" in said


def test_second_signal_kills_what_does_not_stop() -> None:
    stubborn = ('--set=engine.sim.faults=["ignore-sigterm"]', "--set=supervisor.stop_grace=1h")
    with up(*stubborn) as process:

        def ends() -> bool:
            process.send_signal(signal.SIGINT)
            return process.poll() is not None

        assert wait_until(ends)


def test_second_up_of_the_same_name_is_refused(replicore: Replicore, detached: None) -> None:
    second = replicore("up", *SIM)

    assert second.code == 1
    assert 'error: the deployment "default" is running already, pid' in second.err
    assert "hint: `replicore down default` stops it" in second.err


def test_detached_deployment_can_be_looked_at_restarted_and_stopped(
    replicore: Replicore, detached: None
) -> None:
    before = now(replicore)
    assert before["ready"]
    assert [replica["cores"] for replica in before["replicas"]] == ["0-1", "2-3"]
    assert "r1" in replicore("status").out

    assert replicore("restart", "r1").code == 0
    assert [replica["incarnation"] for replica in now(replicore)["replicas"]] == [1, 2]
    assert "r0 | " in replicore("logs").out

    assert replicore("down").code == 0
    assert replicore("status").code == 1


def test_detached_up_that_fails_tells_why(replicore: Replicore) -> None:
    failed = detach("--set=engine.python=/no/such/python")

    assert failed.code != 0
    assert "/no/such/python" in failed.err
    assert "Traceback" not in failed.err
    assert replicore("down").code == 1


def test_several_deployments_must_be_named(replicore: Replicore) -> None:
    with up("--name=one") as one, up("--name=two") as two:
        unclear = replicore("down")
        assert unclear.code == 1
        assert "name one of them: one, two" in unclear.err

        assert replicore("down", "two").code == 0
        assert two.wait(DEADLINE_S) == 0
        assert one.poll() is None


def test_logs_are_followed_over_a_restart(replicore: Replicore, detached: None) -> None:
    with subprocess.Popen(argv("logs", "-f", "r0"), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        first = following.stdout.readline()
        assert replicore("restart", "r0").code == 0

        assert following.stdout.readline() == first  # the same words of the next incarnation
        following.terminate()


def test_logs_of_a_replica_that_crashed_are_there_after_its_restart(replicore: Replicore) -> None:
    with up():
        logs = state_root() / "default" / "logs"
        (logs / "r0.0.log").write_text("RuntimeError: out of luck\n")

        assert "RuntimeError: out of luck" in replicore("logs", "r0").out


@pytest.mark.parametrize("option", ["-n1", "-f"])
def test_logs_of_a_replica_that_is_not_there_are_refused_with_the_nearest(
    replicore: Replicore, option: str
) -> None:
    with up():
        wrong = replicore("logs", "r00", option)

    assert wrong.code == 1
    assert 'there is no replica "r00" in the deployment "default"' in wrong.err
    assert "did you mean r0?" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status",), 1, "no deployment is running"),
        (("down", "x"), 1, 'the deployment "x" is not running'),
        (("restart",), 1, "no deployment is running"),
        (("logs",), 1, "no deployment is running"),
        (("up", "--set=layout.tp"), 2, "has no KEY=VALUE form"),
        (("up", "--port=no"), 2, "gateway.port"),
        (("up", "--host=0.0.0.0"), 2, "takes requests from other machines"),
        (("drain", "r0"), 1, "no deployment is running"),
        (("undrain", "r0"), 1, "no deployment is running"),
    ],
)
def test_wrong_command_is_one_sentence(
    replicore: Replicore, arguments: tuple[str, ...], code: int, said: str
) -> None:
    wrong = replicore(*arguments)

    assert wrong.code == code
    assert said in wrong.err
    assert "Traceback" not in wrong.err
