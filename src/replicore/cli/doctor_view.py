"""How a diagnosis looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from replicore.doctor.diagnosis import Diagnosis
from replicore.findings import Finding

# A sign and a colour; the sign alone says it where there is no colour.
_SIGNS = {"error": ("✗ error", "red"), "warning": ("! warning", "yellow"), "ok": ("✓", "green")}


def findings_table(findings: Iterable[Finding]) -> Table:
    """Return the table: what was found, and under it what to change."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("level", no_wrap=True)
    table.add_column("check", no_wrap=True, style="bold")
    table.add_column("message", overflow="fold")
    for finding in findings:
        sign, colour = _SIGNS[finding.level]
        table.add_row(Text(sign, style=colour), Text(finding.check), _message(finding))
    return table


def summary(found: Diagnosis) -> str:
    """Return the counts in a line."""
    counts = {level: found.count(level) for level in ("error", "warning")}
    told = [f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items()]
    return f"\n{', '.join(told)}, {found.count('ok')} ok"


def _message(finding: Finding) -> Text:
    if finding.level == "ok":
        return Text(finding.message, style="dim")
    text = Text(finding.message)
    if finding.fix:
        text.append("\n→ ", style="cyan")
        text.append(finding.fix, style="cyan")
    return text
