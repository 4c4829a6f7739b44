from __future__ import annotations

import pytest

from replicore.artefacts.digest import digest


def test_digest_does_not_depend_on_the_order_of_fields() -> None:
    assert digest({"a": 1, "b": {"c": [1, "x"], "d": None}}) == digest(
        {"b": {"d": None, "c": [1, "x"]}, "a": 1}
    )


@pytest.mark.parametrize("other", [True, 1.0, "1", [1], None])
def test_digest_tells_values_apart_that_python_or_a_reader_may_not(other: object) -> None:
    assert digest({"a": 1}) != digest({"a": other})  # type: ignore[dict-item]


def test_digest_is_the_same_in_every_version() -> None:
    # printf '{"layout.tp":32,"model.source":"org/näme"}' | sha256sum
    assert digest({"model.source": "org/näme", "layout.tp": 32}) == "e1e866fa156113672995"


def test_digest_of_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        digest({"a": float("nan")})
