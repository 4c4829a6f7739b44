"""What a sweep measures where nobody says it."""

from __future__ import annotations

import pytest

from replicore.bench.sweep.plan import parse_layouts
from replicore.cli.sweep import default_loads
from replicore.spec import load_spec


@pytest.mark.parametrize(
    ("layouts", "settings", "expected"),
    [
        ("2x1,1x2", {}, (1, 4, 8)),
        ("2x1x4,1x2x16", {}, (1, 8, 16)),
        ("1x1x1", {}, (1,)),
        ("1x1x2", {}, (1, 2)),
        ("2x1", {"workload.concurrency": "32"}, (1, 16, 32)),
    ],
)
def test_loads_are_one_request_and_half_and_all_of_the_slots(
    layouts: str, settings: dict[str, str], expected: tuple[int, ...]
) -> None:
    spec = load_spec(None, environ={}, overrides={"layout.batch_size": "4", **settings})

    assert default_loads(spec, parse_layouts(layouts)) == expected
