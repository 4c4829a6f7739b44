"""What is written is what is read, and what cannot be used is named with its key."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from replicore.errors import ConfigError
from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.models.parts import Experts, WeightFormat
from replicore.planner.files.document import ReplicaTable
from replicore.planner.files.reading import parse_calibration, read_calibration
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.files.writing import calibration_text, write_calibration
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica, StaticBatch
from replicore.planner.step.traffic import Case, Observation, Traffic

MODEL = Anatomy(
    layers=2,
    hidden=64,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocab=1000,
    intermediate=128,
    experts=Experts(layers=2, count=4, per_token=2, intermediate=32),
    weights=WeightFormat(name="fp8", quantised=(("experts", 1.0),)),
)
CASE = Case(
    replica=Replica(
        device=devices()["h100"],
        engine="vllm",
        anatomy=MODEL,
        precision=Precision(kv_bytes=1.0),
        tp=2,
        rank_cores=2,
        wait_steps=3,
        kv_tokens=5000.0,
        static=StaticBatch(batch_size=4, max_model_len=512),
    ),
    traffic=Traffic(input_tokens=100.0, output_tokens=50.0, concurrency=8.0),
)
SEEN = Observation(case=CASE, ttft_s=0.05, tpot_s=0.01, source="run 1 of tiny")


def record(**changes: object) -> CalibrationRecord:
    predictor = calibrate([SEEN])
    (key,) = predictor.own
    whole = CalibrationRecord(
        key=key,
        calibration=replace(predictor.own[key], source="tests"),
        made_on="2026-11-23",
        made_by="replicore 0",
        observations=(SEEN,),
        models={"tiny": MODEL},
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def read_back(written: CalibrationRecord) -> CalibrationRecord:
    return parse_calibration(calibration_text(written), "a.toml")


def test_factors_are_read_to_six_digits() -> None:
    written = record().calibration

    read = read_back(record()).calibration

    assert read.tpot.values == pytest.approx(written.tpot.values, rel=5e-6)
    assert read.ttft.values == pytest.approx(written.ttft.values, rel=5e-6)


def test_covariances_are_read_within_rounding() -> None:
    written = record().calibration.tpot.covariance

    read = read_back(record()).calibration.tpot.covariance

    assert np.diag(read) == pytest.approx(np.diag(written), rel=5e-3)
    assert read == pytest.approx(written, abs=5e-3)


def test_ranges_and_provenance_are_read_as_they_were_written() -> None:
    written = record()

    read = read_back(written)

    assert (read.key, read.made_on, read.made_by) == (written.key, "2026-11-23", "replicore 0")
    assert read.calibration.source == "tests"
    assert read.calibration.rows == 1
    assert read.calibration.lowest == pytest.approx(written.calibration.lowest, rel=1e-5)


def test_an_observation_is_read_as_it_was_measured() -> None:
    assert read_back(record()).observations == (SEEN,)


def test_every_field_of_a_replica_has_a_place_in_the_file() -> None:
    elsewhere = {"device", "anatomy"}

    assert {field.name for field in fields(Replica)} - elsewhere == set(
        ReplicaTable.__struct_fields__
    )


def test_a_model_without_a_name_is_counted() -> None:
    text = calibration_text(record(models={}))

    assert "[models.model-1]" in text
    assert parse_calibration(text, "a.toml").observations == (SEEN,)


def test_the_sheet_of_a_measured_device_is_that_of_its_observations() -> None:
    device = replace(devices()["h100"], key="cpu-mine", kind="cpu", memory_bytes=None)
    seen = replace(SEEN, case=replace(CASE, replica=replace(CASE.replica, device=device)))

    read = read_back(record(key=("cpu-mine", "vllm"), sheet=device, observations=(seen,)))

    assert read.sheet == device
    assert read.observations == (seen,)


def test_what_all_have_in_common_has_no_device() -> None:
    read = read_back(record(key=None, observations=()))

    assert read.key is None


def test_a_file_is_written_into_a_folder_that_was_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "h100-vllm.toml"

    write_calibration(path, record())

    assert read_calibration(path).observations == (SEEN,)
    assert list(path.parent.iterdir()) == [path]


def test_correlations_that_rounding_made_impossible_leave_no_negative_variance() -> None:
    text = calibration_text(record(observations=()))
    # Both cannot go with the first while one goes against the other.
    text = _correlated(_correlated(text, "kv", [0.9]), "compute", [0.9, -0.9])

    read = parse_calibration(text, "a.toml").calibration.tpot

    assert np.linalg.eigvalsh(read.covariance).min() > -1e-12


def _correlated(text: str, term: str, correlations: list[float]) -> str:
    """Replace the correlations of a term of TPOT."""
    line = rf"^{term} = {{ factor = (\S+), log_sd = ([^ ,]+).*}}$"
    new = rf"{term} = {{ factor = \1, log_sd = \2, correlations = {correlations} }}"
    return re.sub(line, new, text, count=1, flags=re.MULTILINE)


# SAD PATHS

WRONG = [
    ("format = 1", "format = 9", "a.toml: format: 9 is not 1"),
    ("rows = 1", 'rows = "many"', "a.toml: rows: expected `int`, got `str`"),
    ("rows = 1", "rows = 1\nspeed = 2", "a.toml: object contains unknown field `speed`"),
    ("hops =", "hop =", 'a.toml: tpot.terms: has "weights"'),
    ("factor = ", "factor = -", "a.toml: tpot.terms"),
    ('engine = "vllm-experts"\n', "", "a.toml: device and engine belong together"),
    ("[ranges]\ntp =", "[ranges]\ntips =", 'a.toml: ranges: has "tips"'),
    ('model = "tiny"', 'model = "big"', 'a.toml: observations: model "big" is not one of "tiny"'),
    ('device = "h100"', 'device = "z9"', 'a.toml: device: "z9" is not catalogued'),
    ("correlations = [", "correlations = [0.1, ", "a.toml: tpot.terms."),
    ("[tpot]", "[tpot", "a.toml is not TOML"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_wrong_value_is_named_with_file_and_key(old: str, new: str, message: str) -> None:
    text = calibration_text(record())
    assert old in text

    with pytest.raises(ConfigError) as raised:
        parse_calibration(text.replace(old, new, 1), "a.toml")

    assert raised.value.message.lower().startswith(message.lower())


def test_observations_of_no_device_are_refused() -> None:
    text = calibration_text(record(key=None))

    with pytest.raises(ConfigError, match="the file names none"):
        parse_calibration(text, "a.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml cannot be read"):
        read_calibration(tmp_path / "gone.toml")
