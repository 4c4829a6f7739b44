"""The HTML report in a real browser: headless Chromium draws it, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from replicore.bench.report.notes import notes
from replicore.bench.report.page import run_page
from replicore.bench.stats.objectives import Objectives
from replicore.bench.stats.summary import summarize
from tests.integration.browser import CHROMIUM, chromium, seen_by_probe
from tests.unit.bench.report.runs import VALID, busy_run
from tests.unit.bench.report.theme import DARK, LIGHT, rgb

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.fixture(name="page", scope="module")
def _page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with everything in it: replicas, failures, objectives, servers."""
    path = tmp_path_factory.mktemp("page") / "run.html"
    result = busy_run(seconds=20.0)
    found = summarize(result, slo=Objectives(ttft_s=0.5, tpot_s=0.03))
    command = ["replicore", "bench", "-c", "8"]
    said = notes(result, found)
    text = run_page(result, found, VALID, command=command, notes=said, environment={})
    path.write_text(text)
    return path


@pytest.mark.parametrize("width", [1280, 500])
def test_every_chart_is_drawn_and_nothing_is_wider_than_the_window(
    page: Path, tmp_path: Path, width: int
) -> None:
    seen = seen_by_probe(page, tmp_path, width=width)

    charts = str(page.read_text().count('class="plot"'))
    assert seen == {"charts": "drawn", "plots": charts, "empty": "0", "overflow": "0"}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_screenshot_has_the_colours_of_the_readers_theme(
    page: Path, tmp_path: Path, theme: dict[str, str]
) -> None:
    image = tmp_path / "page.png"
    # Blink's own setting of what the system prefers: 0 is dark, 1 is light.
    prefers = f"--blink-settings=preferredColorScheme={int(theme is LIGHT)}"
    size = "--window-size=1280,2400"
    chromium(tmp_path / "profile", prefers, size, f"--screenshot={image}", page.as_uri())

    with Image.open(image) as opened:
        counts = opened.convert("RGB").getcolors(1 << 24) or []
    pixels = {color: count for count, color in counts}
    shares = {name: pixels.get(rgb(color), 0) / (1280 * 2400) for name, color in theme.items()}
    # The ground and the cards are most of it; bars, text and grid lines are there.
    assert shares["--page"] + shares["--card"] > 0.7
    assert shares["--series-0"] > 0.01
    assert shares["--ink"] > 0.001
    assert shares["--grid"] > 0.005
    assert shares["--bad"] > 0.00005


def test_page_of_a_browser_that_cannot_unpack_says_so_in_place_of_charts(
    page: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.html"
    broken = "<script>delete window.DecompressionStream;</script></head>"
    old.write_text(page.read_text().replace("</head>", broken))

    dom = chromium(tmp_path / "profile", "--dump-dom", old.as_uri())

    assert 'data-charts="failed"' in dom
    assert "this chart cannot be drawn here: DecompressionStream is not defined" in dom
