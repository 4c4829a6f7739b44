"""What tuning leaves behind, and what the next one starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.planner.files.load import FOLDER_VARIABLE, calibrations_folder, load_predictor
from replicore.planner.files.reading import read_calibration
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.step.traffic import Observation
from replicore.tune.belief import cases_of
from replicore.tune.finding import (
    Start,
    calibration_path,
    known_before,
    write_finding,
    write_layout,
)
from tests.unit.tune.made import CORE, outcomes, problem

KEY = ("h100", "vllm")
CASES = cases_of(problem().outcomes())


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "calibrations"))


def seen(size: str, tpot_s: float = 0.05) -> Observation:
    return Observation(case=CASES[size], ttft_s=1.0, tpot_s=tpot_s, source=f"run of {size}")


def started(tmp_path: Path, *, fresh: bool = True) -> Start:
    return known_before(tmp_path / "start.toml", KEY, fresh=fresh)


def test_finding_is_a_calibration_with_its_runs(tmp_path: Path) -> None:
    path = write_finding(started(tmp_path), [seen("2x2x8")], model="llama-8b")
    record = read_calibration(path)

    assert path == calibrations_folder() / "h100-vllm.toml" == calibration_path(KEY)
    assert record.key == KEY
    assert [one.tpot_s for one in record.observations] == [0.05]
    assert set(record.models) == {"llama-8b"}


def test_finding_says_what_it_was_drawn_from_and_this_machine(tmp_path: Path) -> None:
    shipped = started(tmp_path).predictor.own[KEY].source
    for _ in range(2):
        path = write_finding(started(tmp_path), [seen("2x2x8")], model="llama-8b")
        source = read_calibration(path).calibration.source

        assert source.startswith(f"{shipped}; then replicore tune on this machine, ")
        assert source.count("; then ") == 1


def test_finding_where_nothing_was_known_is_of_this_machine(tmp_path: Path) -> None:
    start = Start(predictor=uncalibrated())
    path = write_finding(start, [seen("2x2x8")], model="llama-8b")

    assert read_calibration(path).calibration.source.startswith("replicore tune on this machine")


def test_plan_knows_of_the_finding(tmp_path: Path) -> None:
    before = float(load_predictor().tpot([CASES["2x2x8"]]).seconds[0])
    write_finding(started(tmp_path), [seen("2x2x8", 10 * before)], model="llama-8b")
    after = float(load_predictor().tpot([CASES["2x2x8"]]).seconds[0])

    assert after > 3 * before


def test_second_finding_keeps_the_runs_of_the_first(tmp_path: Path) -> None:
    write_finding(started(tmp_path), [seen("2x2x8"), seen("1x4x8")], model="a")
    again = started(tmp_path)
    record = read_calibration(write_finding(again, [seen("2x2x8", 0.07)], model="b"))

    assert {one.case.replica.tp: one.tpot_s for one in record.observations} == {4: 0.05, 2: 0.07}
    assert len(again.remembered) == 2


def test_resumed_tuning_starts_from_what_was_known_at_its_begin(tmp_path: Path) -> None:
    started(tmp_path)
    write_finding(started(tmp_path), [seen("2x2x8")], model="a")

    assert started(tmp_path, fresh=False).remembered == ()
    assert len(started(tmp_path, fresh=True).remembered) == 1


def test_new_tuning_forgets_the_copy_of_an_old_one(tmp_path: Path) -> None:
    path = write_finding(started(tmp_path), [seen("2x2x8")], model="a")
    started(tmp_path)
    path.unlink()

    assert started(tmp_path).before is None


def test_runs_with_another_data_sheet_than_most_are_fitted_and_not_kept(tmp_path: Path) -> None:
    # On a CPU fewer busy cores have more of the bandwidth each.
    alone = seen("1x4x8")
    faster = replace(alone.case.replica, device=replace(CORE, bytes_per_s=2 * CORE.bytes_per_s))
    other = replace(alone, case=replace(alone.case, replica=faster))
    start = started(tmp_path)
    path = write_finding(start, [seen("2x2x8"), seen("4x1x8"), other], model="a")
    record = read_calibration(path)

    assert record.calibration.rows == start.predictor.own[KEY].rows + 3
    assert sorted(one.case.replica.tp for one in record.observations) == [1, 2]


def test_layout_is_written_into_the_spec_file(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text('name = "x"\n[layout]\ntp = 1  # cores\n')
    (outcome,) = (one for one in outcomes(problem()) if one.size == "2x2x8")
    write_layout(path, outcome)

    assert path.read_text() == (
        'name = "x"\n[layout]\nreplicas = 2\nbatch_size = 8\ntp = 2  # cores\n'
    )


# SAD PATH


def test_spec_that_cannot_be_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text("layout = { tp = 1 }\n")

    with pytest.raises(ConfigError, match=r"serve\.toml: \[layout\] is written in a way") as caught:
        write_layout(path, outcomes(problem())[0])
    assert path.read_text() == "layout = { tp = 1 }\n"
    assert caught.value.hint is not None


def test_spec_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"serve\.toml: cannot be written: No such file"):
        write_layout(tmp_path / "serve.toml", outcomes(problem())[0])


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    start = started(tmp_path)
    (tmp_path / "calibrations").write_text("a file")

    with pytest.raises(ConfigError, match="cannot be written"):
        write_finding(start, [seen("2x2x8")], model="a")
