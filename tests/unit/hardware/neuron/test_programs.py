from __future__ import annotations

from pathlib import Path

from replicore.hardware.neuron.programs import run_program, tool


def test_a_program_that_ends_well_has_its_output_returned() -> None:
    assert run_program(("sh", "-c", "echo one; echo two")) == "one\ntwo\n"


def test_a_program_that_fails_or_is_not_there_has_none() -> None:
    assert run_program(("sh", "-c", "echo text; exit 1")) is None
    assert run_program(("replicore-has-no-such-program",)) is None
    assert run_program(("replicore-has-no-such-program",), first_line=True) is None


def test_a_program_that_never_ends_is_stopped_after_its_first_line(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; echo first; exec sleep 1000"

    assert run_program(("sh", "-c", script), first_line=True) == "first\n"
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_program_that_writes_no_line_has_none() -> None:
    assert run_program(("true",), first_line=True) is None


def test_a_tool_is_taken_from_awss_folder_where_it_is_there(tmp_path: Path) -> None:
    assert tool("neuron-ls", tmp_path) == "neuron-ls"

    installed = tmp_path / "opt/aws/neuron/bin/neuron-ls"
    installed.parent.mkdir(parents=True)
    installed.touch()

    assert tool("neuron-ls", tmp_path) == str(installed)
