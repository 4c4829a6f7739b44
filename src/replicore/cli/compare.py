"""``replicore compare``: results of several runs side by side, whichever tool wrote them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from replicore.bench.compare.comparison import Comparison
from replicore.bench.compare.comparison import compare as compared
from replicore.bench.compare.document import document
from replicore.bench.compare.files import read_runs
from replicore.bench.compare.page import page
from replicore.bench.compare.table import rendered
from replicore.bench.results import write_file
from replicore.cli.console import report_console
from replicore.errors import ConfigError

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="Results, the baseline first; a folder with one; FILE#2 for a file's second run.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the comparison as JSON on stdout.")]
Html = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write it as a page, with a chart of the ratios."),
]


def compare(files: Files, json: Json = False, html: Html = None) -> None:
    """Compare results with the first of them: ours, LLMPerf's, vLLM's, GuideLLM's and AIPerf's."""
    runs = read_runs(files)
    if len(runs) < 2:
        raise ConfigError(
            f"{', '.join(files)}: holds {len(runs)} of the two runs that a comparison needs",
            hint="name another result file behind it",
        )
    found = compared(runs)
    command = ["replicore", *sys.argv[1:]]
    if json:
        sys.stdout.write(document(found, command=command).decode())
    else:
        _print(found)
    if html is not None:
        write_file(html, page(found, command=shlex.join(command)).encode())
        typer.echo(f"page: {html}", err=json)


def _print(comparison: Comparison) -> None:
    console = report_console()
    for part in rendered(comparison):
        console.print(part, soft_wrap=isinstance(part, str))
