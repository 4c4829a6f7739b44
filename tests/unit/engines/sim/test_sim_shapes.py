from __future__ import annotations

import pytest

from replicore.engines.sim.profiles import PROFILES, step_time
from replicore.engines.sim.shapes import SHAPES, parse_shape, shape_text
from replicore.errors import ConfigError


@pytest.mark.parametrize("name", list(SHAPES))
def test_shape_written_as_sizes_has_the_same_steps(name: str) -> None:
    profile = PROFILES["h100"]
    named, sized = (
        step_time(profile, parse_shape(text), tp=2, batch_size=4, max_model_len=99)
        for text in (name, shape_text(SHAPES[name]))
    )

    assert named == sized


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("llama-7b", '--shape: "llama-7b" is unknown (valid: llama-8b, llama-70b, or sizes: '),
        ("layer=3", '--shape: there is no size "layer"; did you mean layers?'),
        ("layers=-3", '--shape: layers: "-3" is not a whole number from 1'),
        ("layers=3,heads=2", "--shape: kv_heads, head_dim, weight_bytes missing in"),
    ],
)
def test_wrong_shape_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_shape(text)

    assert message in caught.value.message
