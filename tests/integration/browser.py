"""Headless Chromium: what it makes of a page."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT_S = 120.0

# Looks at the page once its charts are drawn, and leaves what it saw for --dump-dom.
PROBE = """
<script>
new MutationObserver(() => {
  const root = document.documentElement;
  const plots = [...document.querySelectorAll(".plot")];
  root.dataset.plots = plots.length;
  root.dataset.empty = plots.filter((plot) => !plot.querySelector(".plot .trace")).length;
  root.dataset.overflow = root.scrollWidth - root.clientWidth;
}).observe(document.documentElement, { attributeFilter: ["data-charts"] });
</script>
"""


def chromium(profile: Path, *options: str) -> str:
    """Run a browser with a profile of its own; return what it prints."""
    assert CHROMIUM is not None
    argv = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    # Virtual time stands still while the page works, and ends with it.
    argv += [f"--user-data-dir={profile}", "--virtual-time-budget=20000", *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return done.stdout


def seen_by_probe(page: Path, folder: Path, *, width: int) -> dict[str, str]:
    """Return what the probe left in the page, in a window of this width."""
    probed = folder / "probed.html"
    probed.write_text(page.read_text().replace("</head>", f"{PROBE}</head>"))
    size = f"--window-size={width},1000"
    dom = chromium(folder / "profile", size, "--dump-dom", probed.as_uri())
    root = re.search(r"<html([^>]*)>", dom)
    assert root is not None
    return dict(re.findall(r'data-(\w+)="([^"]*)"', root[1]))
