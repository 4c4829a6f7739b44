from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from replicore.cli.sim import sim
from replicore.engines.sim.faults import Faults
from replicore.engines.sim.options import SimOptions, option_names, parse_options
from replicore.engines.sim.program import faults_in_force
from replicore.engines.sim.scheduler import Timing
from replicore.errors import ConfigError


def test_no_arguments_are_the_defaults() -> None:
    assert parse_options([]) == SimOptions()


def test_every_option_is_read() -> None:
    line = (
        "--host ::1 --port 0 --reuse-port --model m --slots 2 --max-model-len 99 "
        "--prefill-tokens-per-s 5 --decode-tokens-per-s 6 --decode-batch-slope 0.5 "
        "--prefill-slope 0.25 --decode-context-slope 2 --batching continuous --kv-tokens 640 "
        "--tp 2 --shape llama-70b --speed 20 --no-prefix-cache "
        "--fault wedge=1 --fault tokens-per-chunk=2 --fault-once-file f"
    )

    assert parse_options(line.split()) == SimOptions(
        host="::1",
        port=0,
        reuse_port=True,
        model="m",
        slots=2,
        max_model_len=99,
        timing=Timing(
            prefill_tokens_per_s=5,
            prefill_slope=0.25,
            decode_tokens_per_s=6,
            decode_batch_slope=0.5,
            decode_context_slope=2,
        ),
        tp=2,
        shape="llama-70b",
        batching="continuous",
        kv_tokens=640,
        speed=20,
        prefix_cache=False,
        faults=("wedge=1", "tokens-per-chunk=2"),
        fault_once_file=Path("f"),
    )


@pytest.mark.parametrize(
    ("line", "batching"),
    [
        ("", "independent"),
        ("--profile trn2", "static"),
        ("--profile h100", "continuous"),
        ("--profile trn2 --batching continuous", "continuous"),
    ],
)
def test_batching_is_the_profile_s_unless_it_is_given(line: str, batching: str) -> None:
    assert parse_options(line.split()).batches == batching


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--slot 2", 'the simulator has no option "--slot"; did you mean --slots?'),
        ("stray", 'the simulator has no option "stray"'),
        ("--slots two", "argument --slots: invalid int value: 'two'"),
        ("--slots", "argument --slots: expected one argument"),
        ("--slots 0", "--slots: 0 is not at least 1"),
        ("--port 65536", "--port: 65536 is not from 0 to 65535"),
        ("--max-model-len 1", "--max-model-len: 1 is not at least 2"),
        ("--decode-tokens-per-s 0", "--decode-tokens-per-s: 0 is not above 0"),
        ("--prefill-tokens-per-s inf", "--prefill-tokens-per-s: inf is not above 0"),
        ("--decode-batch-slope -1", "--decode-batch-slope: -1 is not at least 0"),
        ("--speed 0", "--speed: 0 is not above 0"),
        ("--tp 0", "--tp: 0 is not at least 1"),
        ("--profile h10", '--profile: "h10" is unknown (valid: trn2, inf2, h100, cpu)'),
        ("--profile trn2 --decode-tokens-per-s 5", "--profile: trn2 says how fast the engine is"),
        ("--shape llama", '--shape: "llama" is unknown'),
        ("--batching some", "argument --batching: invalid choice: 'some'"),
        ("--kv-tokens 99", "--kv-tokens: 99 is for continuous batching, not for independent"),
        ("--profile trn2 --kv-tokens 99", "continuous batching, not for static"),
        ("--profile h100 --kv-tokens 0", "--kv-tokens: 0 is not at least 1"),
        ("--fault wegde", 'fault "wegde" is unknown'),
    ],
)
def test_wrong_command_line_is_refused(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_options(line.split())

    assert message in caught.value.message


def test_replicore_sim_has_the_same_options() -> None:
    app = typer.Typer(add_completion=False)
    app.command()(sim)
    command = typer.main.get_command(app)
    flags = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}

    assert flags == option_names() - {"-h", "--help"}


def test_faults_with_a_once_file_are_those_of_one_process_only(tmp_path: Path) -> None:
    options = SimOptions(faults=("wedge",), fault_once_file=tmp_path / "taken")

    assert faults_in_force(options) == Faults(wedge=0)
    assert faults_in_force(options) == Faults()


def test_program_imports_nothing_heavy() -> None:
    code = "import sys, replicore.engines.sim.__main__; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert {"pydantic", "typer", "rich", "numpy"}.isdisjoint(run.stdout.split())
    assert run.returncode == 0
