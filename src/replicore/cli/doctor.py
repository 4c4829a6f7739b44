"""``replicore doctor``: what would keep a deployment from working here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from replicore import __version__
from replicore.cli.console import report_console
from replicore.cli.doctor_view import findings_table, summary
from replicore.cli.settings import Set, settings_given
from replicore.doctor.case import Place
from replicore.doctor.diagnosis import Diagnosis, diagnose

FORMAT = "replicore-doctor/1"


SpecPath = Annotated[
    Path | None, typer.Argument(metavar="SPEC", help="Spec file; the machine alone without one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def doctor(spec: SpecPath = None, json: Json = False, set_: Set = None) -> None:
    """Look at this machine, at a spec, and at the logs, for what does not work.

    Exits with 1 if there is an error.
    """
    found = diagnose(Place(), spec, settings_given(set_ or []))
    if json:
        sys.stdout.write(as_json(found, spec))
    else:
        _print(found)
    if found.count("error"):
        raise typer.Exit(1)


def as_json(found: Diagnosis, spec: Path | None) -> str:
    """Return the document of ``--json``."""
    document = {
        "format": FORMAT,
        "replicore": __version__,
        "spec": None if spec is None else str(spec),
        "errors": found.count("error"),
        "warnings": found.count("warning"),
        "ok": found.count("ok"),
        "findings": found.findings,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _print(found: Diagnosis) -> None:
    console = report_console()
    with console.capture() as shown:
        console.print(findings_table(found.findings))
        console.print(summary(found), markup=False)
    # A table fills its lines up to its width.
    for line in shown.get().splitlines():
        typer.echo(line.rstrip(), color=True)
