from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicore.doctor.case import Case, Place
from replicore.doctor.diagnosis import Check, Diagnosis, diagnose
from replicore.doctor.reports import ok, warning
from replicore.errors import ConfigError
from replicore.findings import Finding
from tests.unit.doctor.cases import only, place

SIMULATED = {"engine.kind": "sim", "layout.replicas": 2, "layout.tp": 1, "engine.sim.cores": 4}


def check_something(place: Place, case: Case) -> Iterator[Finding]:
    yield ok("b", "well")
    yield warning("a", "odd", "mend it")


def check_refused(place: Place, case: Case) -> tuple[Finding, ...]:
    raise ConfigError("gateway.port: 7 is wrong", hint="use 8")


def check_unreadable(place: Place, case: Case) -> tuple[Finding, ...]:
    raise PermissionError(13, "Permission denied", "/dev/neuron0")


def specless(tmp_path: Path, *checks: Check) -> Diagnosis:
    return diagnose(place(tmp_path), None, {}, checks=checks)


def test_problems_come_before_what_is_well(tmp_path: Path) -> None:
    found = specless(tmp_path, check_something)

    assert [finding.check for finding in found.findings] == ["a", "b"]
    assert [found.count(level) for level in ("error", "warning", "ok")] == [0, 1, 1]


def test_a_check_that_is_refused_is_a_finding_with_its_key(tmp_path: Path) -> None:
    (finding,) = specless(tmp_path, check_refused).findings

    assert finding == Finding(
        level="error",
        check="refused",
        message="gateway.port: 7 is wrong",
        fix="use 8",
        key="gateway.port",
    )


def test_what_may_not_be_read_does_not_end_the_diagnosis(tmp_path: Path) -> None:
    found = specless(tmp_path, check_unreadable, check_something)

    assert [finding.check for finding in found.findings] == ["unreadable", "a", "b"]


def test_the_same_refusal_is_told_once(tmp_path: Path) -> None:
    assert len(specless(tmp_path, check_refused, check_refused).findings) == 1


def test_without_a_spec_nothing_is_laid_out(tmp_path: Path) -> None:
    assert specless(tmp_path).findings == ()


def test_a_spec_is_laid_out_and_linted(tmp_path: Path) -> None:
    found = diagnose(place(tmp_path), None, {**SIMULATED, "workload.concurrency": 3}, checks=[])

    assert only(found.findings, "concurrency").level == "warning"
    assert "2 replicas" in only(found.findings, "layout").message


@pytest.mark.parametrize(
    ("settings", "check", "expected"),
    [
        ({"layout.replicas": "0"}, "spec", "layout.replicas"),
        ({**SIMULATED, "layout.replicas": 9}, "layout", "9 replicas"),
        ({"engine.args": ["--n-bach=7"]}, "engine", "--n-bach"),
        ({**SIMULATED, "gateway.api_keys_file": "/no/keys"}, "gateway", "/no/keys"),
    ],
)
def test_a_spec_that_cannot_be_deployed_says_why(
    tmp_path: Path, settings: dict[str, object], check: str, expected: str
) -> None:
    finding = only(diagnose(place(tmp_path), None, settings, checks=[]).findings, check)

    assert finding.level == "error"
    assert expected in finding.message


def test_a_spec_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    found = diagnose(place(tmp_path), tmp_path / "nowhere.toml", {}, checks=[])

    assert "nowhere.toml" in only(found.findings, "spec").message


def test_a_wrong_variable_of_ours_is_a_finding(tmp_path: Path) -> None:
    found = diagnose(place(tmp_path, environ={"REPLICORE_LAYOUT__TPP": "2"}), None, {}, checks=[])

    assert "REPLICORE_LAYOUT__TPP" in only(found.findings, "spec").message


def test_servers_of_others_are_linted_and_not_laid_out(tmp_path: Path) -> None:
    settings = {"engine.kind": "remote", "engine.remote.endpoints": ["http://0.0.0.0:8001"]}
    found = diagnose(place(tmp_path), None, settings, checks=[])

    assert [finding.check for finding in found.findings] == ["endpoints"]


def test_a_state_folder_that_cannot_be_used_is_a_finding(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.state.write_text("a file")
    found = diagnose(here, None, {}, checks=[])

    assert f"the state folder {here.state} cannot be used" in only(found.findings, "state").message
