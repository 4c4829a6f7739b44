"""The page's colours: legible in both themes, by the contrast rules of WCAG 2.2."""

from __future__ import annotations

import re

import pytest

from tests.unit.bench.report.theme import CSS, DARK, LIGHT, rgb

TEXT = ("--ink", "--soft", "--good", "--warn", "--bad")
SERIES = [f"--series-{index}" for index in range(8)]


def luminance(color: str) -> float:
    """Relative luminance: 0.2126 R + 0.7152 G + 0.0722 B of linear sRGB, 0 to 1."""
    parts = [part / 255 for part in rgb(color)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """(lighter + 0.05) / (darker + 0.05), 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_both_themes_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert set(SERIES) <= LIGHT.keys()


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("ground", ["--page", "--card"])
def test_text_is_legible(theme: dict[str, str], name: str, ground: str) -> None:
    assert contrast(theme[name], theme[ground]) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", SERIES)
def test_lines_stand_out_from_their_ground(theme: dict[str, str], name: str) -> None:
    assert contrast(theme[name], theme["--card"]) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_no_two_series_have_one_colour(theme: dict[str, str]) -> None:
    assert len({theme[name] for name in SERIES}) == len(SERIES)


def test_every_colour_that_is_used_is_defined() -> None:
    used = set(re.findall(r"var\((--[\w-]+)\)", CSS))

    assert used - {"--tone"} <= LIGHT.keys()
