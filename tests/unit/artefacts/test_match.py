from __future__ import annotations

import pytest

from replicore.artefacts.match import differences, nearest_first, written
from replicore.engines.recipe import Value


def test_equal_fields_do_not_differ() -> None:
    assert differences({"a": 1, "b": {"c": [1]}}, {"b": {"c": [1]}, "a": 1}) == ()


def test_each_field_that_differs_is_named_with_both_values() -> None:
    found: dict[str, Value] = {"layout.tp": 16, "same": 1, "old": "x"}
    told = [str(one) for one in differences(found, {"layout.tp": 32, "same": 1, "new": None})]

    assert told == [
        "layout.tp: made with 16, wanted 32",
        "new: made with nothing, wanted unset",
        'old: made with "x", wanted nothing',
    ]


def test_key_of_a_table_is_named_by_itself() -> None:
    (one,) = differences({"config": {"a": 1, "b": 2}}, {"config": {"a": 1, "b": 3}})

    assert (one.name, one.found, one.wanted) == ("config.b", 2, 3)


@pytest.mark.parametrize(("found", "wanted"), [(True, 1), (1, 1.0), (None, False), ([], {})])
def test_values_that_python_takes_for_equal_differ(found: Value, wanted: Value) -> None:
    assert len(differences({"a": found}, {"a": wanted})) == 1


def test_artefact_of_the_same_model_is_nearer_than_one_that_differs_in_less() -> None:
    wanted: dict[str, Value] = {"model.source": "m", "layout.tp": 1, "layout.batch_size": 1}
    ranked = nearest_first(
        [
            ("other model", {**wanted, "model.source": "n"}),
            ("two off", {**wanted, "layout.tp": 2, "layout.batch_size": 2}),
            ("one off", {**wanted, "layout.tp": 2}),
        ],
        wanted,
    )

    assert [name for name, _ in ranked] == ["one off", "two off", "other model"]


def test_long_value_is_written_on_one_line_of_at_most_80_characters() -> None:
    assert len(written(["--argument\nwith a line break"] * 9)) == 80
    assert "\n" not in written(["a\nb"])
