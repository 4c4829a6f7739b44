"""The page of a plan in a real browser: headless Chromium draws it."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicore.plan_page.page import plan_page
from replicore.planner.question import Slo
from tests.integration.browser import CHROMIUM, seen_by_probe
from tests.unit.plan_page.plans import wide_plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.mark.parametrize("width", [1280, 500])
def test_every_chart_is_drawn_and_nothing_is_wider_than_the_window(
    tmp_path: Path, width: int
) -> None:
    page = tmp_path / "plan.html"
    page.write_text(plan_page(wide_plan(slo=Slo(ttft_p99_s=0.2, tpot_p99_s=0.02))))

    seen = seen_by_probe(page, tmp_path, width=width)

    assert seen == {"charts": "drawn", "plots": "4", "empty": "0", "overflow": "0"}
