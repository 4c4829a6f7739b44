"""``replicore compile``, ``artefacts`` and ``up --compile`` with the Neuron engine's stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replicore.cli import run
from tests.integration.deploy.deployments import DEADLINE_S
from tests.integration.deployment import up
from tests.integration.neuron_spec import write_spec

SLOTS_8 = "--set=layout.batch_size=8"


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

    def call(*arguments: str | Path) -> Ended:
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return call


@pytest.fixture(name="spec")
def _spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_spec(tmp_path, monkeypatch)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> str:
    return f"--folder={tmp_path / 'artefacts'}"


def listed(replicore: Replicore, folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(replicore("artefacts", "list", "--json", folder).out)
    return found


@pytest.mark.parametrize("command", ["list", "verify"])
def test_a_folder_without_artefacts_is_told_as_that(
    replicore: Replicore, folder: str, command: str
) -> None:
    ended = replicore("artefacts", command, folder)

    assert (ended.code, ended.out) == (0, "")
    assert ended.err.endswith("/artefacts has no artefacts\n")


def test_doctor_finds_what_was_compiled(replicore: Replicore, spec: Path) -> None:
    path = replicore("compile", spec).out.strip()
    found = json.loads(replicore("doctor", spec, "--json").out)["findings"]

    assert [one["message"] for one in found if one["check"] == "artefact"] == [f"compiled: {path}"]


def test_compile_prints_where_the_artefact_is_and_makes_it_once(
    replicore: Replicore, spec: Path
) -> None:
    first, again = replicore("compile", spec), replicore("compile", spec)

    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
    assert (Path(first.out.strip()) / "manifest.json").is_file()
    assert "compile: tracing (2 of 7)" in first.err
    assert again.err == "compiled already\n"


def test_compile_tells_a_program_what_it_made(replicore: Replicore, spec: Path) -> None:
    made = json.loads(replicore("compile", spec, "--json").out)

    assert made["fields"]["layout.tp"] == 2
    assert made["was_there"] is False
    assert Path(made["artefact"]).name == made["digest"]


def test_compile_that_fails_names_its_log(replicore: Replicore, spec: Path) -> None:
    failed = replicore("compile", spec, "--set=engine.env.FAKE_FAULT=abort")

    assert failed.code == 1
    assert "error: the compile exited with code 1" in failed.err
    assert "its whole log is" in failed.err


def test_ctrl_c_ends_a_compile_and_leaves_nothing_half_written(spec: Path) -> None:
    argv = [sys.executable, "-m", "replicore", "compile", str(spec)]
    hang = "--set=engine.env.FAKE_FAULT=hang"
    with subprocess.Popen([*argv, hang], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("tracing" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(DEADLINE_S) == 130

    assert "compile stopped; nothing half-written is left" in said
    assert list((spec.parent / "artefacts" / ".building").iterdir()) == []


def test_up_refuses_what_was_not_compiled_and_says_both_ways_out(
    replicore: Replicore, spec: Path
) -> None:
    replicore("compile", spec)
    refused = replicore("up", spec, SLOTS_8)

    assert refused.code == 1
    assert "\n  layout.batch_size: made with 4, wanted 8\n" in refused.err
    assert "`replicore compile SPEC`, or `replicore up --compile`, makes it" in refused.err
    assert "or take what is there, with layout.batch_size = 4" in refused.err


def test_up_refuses_a_truncated_model(replicore: Replicore, spec: Path) -> None:
    made = Path(replicore("compile", spec).out.strip())
    os.truncate(made / "model.pt", 99)
    refused = replicore("up", spec)

    assert refused.code == 1
    assert "is damaged: model.pt has 99 bytes" in refused.err
    assert replicore("compile", spec).code == 0
    assert (made / "model.pt").stat().st_size > 99


def test_up_compiles_first_and_serves_from_it_and_it_stays_while_it_runs(
    replicore: Replicore, spec: Path, folder: str, tmp_path: Path
) -> None:
    with up(str(spec), "--compile", state=tmp_path / "state") as running:
        assert [replica.state for replica in running.status().replicas] == ["ready", "ready"]
        (made,) = listed(replicore, folder)
        assert made["state"] == "complete"
        assert "kept: in use by pid" in replicore("artefacts", "gc", "--days=0", folder).out
        assert "is in use by pid" in replicore("compile", spec, "--force").err

    assert "removed: " in replicore("artefacts", "gc", "--days=0", folder).out
    assert listed(replicore, folder) == []


@pytest.mark.parametrize("command", ["up", "compile"])
def test_spec_that_cannot_work_is_refused_with_every_reason(
    replicore: Replicore, spec: Path, command: str
) -> None:
    wrong = ("--set=engine.env.WORLD_SIZE=2", "--set=engine.env.NEURON_RT_NUM_CORES=64")
    refused = replicore(command, spec, *wrong)

    assert refused.code == 2
    assert "error: 2 things cannot work:\n" in refused.err
    assert "  - engine.env.WORLD_SIZE" in refused.err
    assert "  - engine.env.NEURON_RT_NUM_CORES" in refused.err


def test_warnings_are_printed_and_it_goes_on(replicore: Replicore, spec: Path) -> None:
    longer = ("--set=workload.input_tokens.mean=200", "--set=workload.input_tokens.stddev=50")
    warned = replicore("compile", spec, *longer)

    assert warned.code == 0
    assert "warning: layout.max_model_len: " in warned.err


def test_artefacts_are_listed_for_people(replicore: Replicore, spec: Path, folder: str) -> None:
    name = Path(replicore("compile", spec).out.strip()).name
    shown = replicore("artefacts", "list", folder).out

    assert name[:12] in shown
    assert "tp 2, batch 4, length 256" in shown


def test_empty_folder_is_told_as_that(replicore: Replicore, folder: str) -> None:
    shown = replicore("artefacts", "list", folder)

    assert (shown.code, shown.out) == (0, "")
    assert shown.err.endswith("artefacts has no artefacts\n")


def test_one_wrong_bit_makes_verify_fail(replicore: Replicore, spec: Path, folder: str) -> None:
    made = Path(replicore("compile", spec).out.strip())
    assert replicore("artefacts", "verify", made.name[:6], folder).code == 0
    with (made / "model.pt").open("r+b") as file:
        file.seek(1000)
        file.write(b"\1")
    wrong = replicore("artefacts", "verify", folder)

    assert wrong.code == 1
    assert "model.pt has other content than it had" in wrong.out


def test_name_that_no_artefact_begins_with_is_refused(replicore: Replicore, folder: str) -> None:
    assert 'no artefact begins with "ab"' in replicore("artefacts", "verify", "ab", folder).err


def test_folder_that_was_compiled_by_hand_is_taken_over(
    replicore: Replicore, spec: Path, tmp_path: Path
) -> None:
    made = Path(replicore("compile", spec).out.strip())
    by_hand = tmp_path / "traced_model"
    shutil.copytree(made, by_hand)
    (by_hand / "manifest.json").unlink()
    shutil.rmtree(made)
    adopted = replicore("artefacts", "adopt", by_hand, spec)

    assert (adopted.code, adopted.out) == (0, f"{made}\n"), adopted.err
    assert "taken to be as the spec has it: model.source" in adopted.err
    assert replicore("compile", spec).err == "compiled already\n"


def test_folder_that_was_compiled_otherwise_is_not(
    replicore: Replicore, spec: Path, tmp_path: Path
) -> None:
    made = Path(replicore("compile", spec).out.strip())
    refused = replicore("artefacts", "adopt", made, spec, "--set=layout.tp=4")

    assert refused.code == 1
    assert "layout.tp: made with 2, wanted 4" in refused.err


def test_folder_without_a_config_is_not_taken_over(
    replicore: Replicore, spec: Path, tmp_path: Path
) -> None:
    refused = replicore("artefacts", "adopt", tmp_path, spec)

    assert refused.code == 1
    assert "neuron_config.json cannot be read: No such file" in refused.err


def test_engine_that_loads_nothing_compiled_adopts_nothing(
    replicore: Replicore, tmp_path: Path
) -> None:
    refused = replicore("artefacts", "adopt", tmp_path, "--set=engine.kind=sim")

    assert "sim loads nothing that is compiled ahead" in refused.err


def test_compile_of_an_engine_that_compiles_nothing_checks_that_it_starts(
    replicore: Replicore,
) -> None:
    done = replicore("compile", "--set=engine.kind=sim", "--json")

    assert json.loads(done.out)["artefact"] is None
    assert "sim compiles nothing; a replica loaded and answered in" in done.err
