from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.state import (
    KEPT_LOGS,
    Claims,
    DeploymentFolder,
    UnitRecord,
    log_files,
    read_record,
    rotated,
    state_root,
)
from replicore.errors import ConfigError, DeploymentError


def cores(text: str) -> CoreRange:
    return CoreRange.parse(text)


def claim(root: Path, name: str, text: str = "", machine: str = "cpu") -> DeploymentFolder:
    with Claims(root) as claims:
        return claims.claim(name, machine, cores(text) if text else NO_CORES)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Iterator[DeploymentFolder]:
    folder = claim(tmp_path, "one", "0-3")
    yield folder
    folder.close()


def test_name_of_a_running_deployment_is_refused_with_its_pid(folder: DeploymentFolder) -> None:
    pid = folder.record.supervisor.pid
    with pytest.raises(DeploymentError, match=f'"one" is running already, pid {pid}') as caught:
        claim(folder.path.parent, "one", "4-7")

    assert "replicore down one" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["claims", "lock"])
def test_name_of_a_file_of_ours_is_a_name_like_any_other(tmp_path: Path, name: str) -> None:
    claim(tmp_path, name).close()


def test_name_of_a_deployment_that_ended_is_free(tmp_path: Path) -> None:
    claim(tmp_path, "one", "0-3").close()

    claim(tmp_path, "one", "0-3").close()


def test_core_of_another_deployment_is_refused_with_its_name(folder: DeploymentFolder) -> None:
    with pytest.raises(DeploymentError) as caught:
        claim(folder.path.parent, "two", "2-5")

    assert caught.value.message == ('cores 2-3, wanted by "two", are held by the deployment "one"')
    assert "replicore down one" in (caught.value.hint or "")


def test_refused_claim_holds_nothing(folder: DeploymentFolder) -> None:
    with pytest.raises(DeploymentError):
        claim(folder.path.parent, "two", "0")

    claim(folder.path.parent, "two", "4").close()


def test_cores_of_another_kind_of_machine_are_free(folder: DeploymentFolder) -> None:
    claim(folder.path.parent, "two", "0-3", machine="cuda").close()


def test_simulated_cores_are_nobodys(tmp_path: Path) -> None:
    one, two = claim(tmp_path, "one", machine="sim"), claim(tmp_path, "two", machine="sim")

    with Claims(tmp_path) as claims:
        assert claims.taken("sim") == NO_CORES
    one.close()
    two.close()


def test_taken_cores_are_those_of_living_deployments(folder: DeploymentFolder) -> None:
    root = folder.path.parent
    claim(root, "dead", "4-7").close()
    other = claim(root, "other", "6")

    with Claims(root) as claims:
        assert str(claims.taken("cpu")) == "0-3,6"
        assert [neighbour.name for neighbour in claims.running()] == ["one", "other"]
    other.close()


def test_looking_at_a_deployment_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    claim(tmp_path, "one").close()
    with Claims(tmp_path) as claims:
        claims.running()

        claims.claim("one", "cpu", NO_CORES).close()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "x" * 65, "a\n"])
def test_name_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a folder"):
        claim(tmp_path, name)

    assert [path.name for path in tmp_path.iterdir()] == [".claims"]


def test_next_up_knows_ports_incarnations_and_the_id_of_the_last(tmp_path: Path) -> None:
    first = claim(tmp_path, "one")
    unit = UnitRecord(name="r0", incarnation=3, port=4321)
    first.write(msgspec.structs.replace(first.record, units=(unit,)))
    first.close()

    second = claim(tmp_path, "one")

    assert second.record.units == (unit,)
    assert second.record.last_id == first.record.id != second.record.id
    second.close()


def test_state_file_that_makes_no_sense_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "state.json").write_text('{"id": 1')

    folder = claim(tmp_path, "one")

    assert folder.record.units == ()
    folder.close()


def test_state_file_is_replaced_as_a_whole(folder: DeploymentFolder) -> None:
    before = (folder.path / "state.json").open()
    folder.write(msgspec.structs.replace(folder.record, url="http://new"))

    with before:
        assert msgspec.json.decode(before.read())["url"] is None
    record = read_record(folder.path)
    assert record is not None
    assert record.url == "http://new"
    assert sorted(path.name for path in folder.path.iterdir()) == ["lock", "state.json"]


def test_logs_of_long_past_incarnations_are_deleted(folder: DeploymentFolder) -> None:
    for incarnation in range(1, 16):
        folder.log("r1", incarnation).touch()
        folder.log("r10", incarnation).touch()

    kept = [path.name for path in log_files(folder.path, "r1")]
    assert kept == [f"r1.{incarnation}.log" for incarnation in range(16 - KEPT_LOGS, 16)]


def test_log_in_the_moment_of_its_rotation_still_counts(folder: DeploymentFolder) -> None:
    folder.log("r0", 1).touch()
    rotated(folder.log("r0", 2)).touch()

    assert [path.name for path in log_files(folder.path, "r0")] == ["r0.1.log", "r0.2.log"]


def test_state_root_is_the_variables_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICORE_STATE_DIR", "/somewhere")

    assert state_root() == Path("/somewhere")


def test_state_folder_that_cannot_be_made_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DeploymentError, match="file/state cannot be used: Not a dir") as caught:
        Claims(tmp_path / "file" / "state").__enter__()

    assert caught.value.hint == "REPLICORE_STATE_DIR names another folder"
