from __future__ import annotations

import io

from rich.console import Console

from replicore.cli.compile_view import shown_compile


def shown(*, terminal: bool) -> str:
    """Return what a compile of two stages shows."""
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=200, highlight=False, soft_wrap=True
    )
    times = iter(range(0, 1000, 10))
    with shown_compile(console, clock=lambda: next(times)) as watch:
        watch.waiting("pid 7 (replicore compile)")
        watch.stage("tracing", 1, 2)
        watch.line("[bold] is no markup in a log " + "x" * 200)
        watch.again("the compile exited with code 70 after 3 s")
        watch.stage("sharding", 2, 2)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_each_stage_is_a_line_where_nobody_watches() -> None:
    assert shown(terminal=False).splitlines() == [
        "pid 7 (replicore compile) makes the same artefact; waiting for it",
        "compile: tracing (1 of 2), after 10 s",
        "the compile exited with code 70 after 3 s",
        "compile: once more, as this failure comes and goes",
        "compile: sharding (2 of 2), after 20 s",
    ]


def test_terminal_shows_the_last_line_too_as_it_was_printed() -> None:
    said = shown(terminal=True)

    assert "compile: sharding (2 of 2), after 20 s" in said
    assert "[bold] is no markup in a log xxx" in said
    assert "x" * 100 not in said
