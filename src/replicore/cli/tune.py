"""``replicore tune``: find the layout to use by planning, measuring and planning again."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from replicore.bench.results import environment, write_file
from replicore.bench.sweep.entries import Begun
from replicore.bench.sweep.journal import opened
from replicore.bench.sweep.measuring import LoadClient
from replicore.bench.sweep.plan import parse_counts
from replicore.bench.sweep.serving import Serving
from replicore.cli.compile_view import shown_compile
from replicore.cli.download import shown_download
from replicore.cli.journalled import default_folder, now, timeout_s, until_stopped, workload_of
from replicore.cli.settings import Set, settings_given
from replicore.cli.tune_view import TuneView, print_found
from replicore.cores import CoreRange
from replicore.deploy.deployment import Prepared, prepare
from replicore.deploy.question import question_of
from replicore.deploy.state import state_root
from replicore.errors import INTERRUPTED_EXIT_CODE, ConfigError, ReplicoreError
from replicore.hardware.cpu_sheet import CpuSheet
from replicore.hardware.machine import Machine
from replicore.planner.files.load import calibrations_folder
from replicore.planner.question import Question
from replicore.planner.step.traffic import Observation
from replicore.spec import Spec, load_spec
from replicore.tune.belief import Problem, case_at, key_of_question
from replicore.tune.budget import parse_budget
from replicore.tune.collective_prior import with_collective
from replicore.tune.cores import CPU, cpu_sheet
from replicore.tune.document import tune_document
from replicore.tune.finding import Start, known_before, write_finding, write_layout
from replicore.tune.loop import End
from replicore.tune.point_files import read_points
from replicore.tune.said import unproven
from replicore.tune.serving import tuned_spec
from replicore.tune.session import Session, begun
from replicore.tune.tuned import Tuned

# What was known when a tuning began; a resumed one starts from it again.
_START = "start.toml"

# Cores of a CPU gain little from more at a time.
_CPU_SLOTS = (1, 2, 4, 8)

SpecPath = Annotated[
    Path | None, typer.Argument(metavar="SPEC", help="What is deployed, the workload and the SLO.")
]
BudgetText = Annotated[
    str, typer.Option("--budget", metavar="N|TIME", help="Runs, time, or both: 6, 20m or 6,20m.")
]
Risk = Annotated[
    float, typer.Option(min=0.001, max=0.5, help="Chance of being wrong that is accepted.")
]
BatchSizes = Annotated[
    str | None,
    typer.Option("--batch-sizes", metavar="N,...", help="Slots of a replica that are tried."),
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        "--points", metavar="FILE=RxT", help="A result file, ours or another tool's, to go by too."
    ),
]
Requests = Annotated[
    int | None,
    typer.Option("-n", "--requests", min=1, help="Requests of a run; 10 for each in flight."),
]
Seed = Annotated[int | None, typer.Option(help="Of lengths and prompts; a new one each time.")]
Timeout = Annotated[str, typer.Option(help="Longest time of one request.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes of the load client.")]
Microbench = Annotated[
    bool, typer.Option("--microbench/--no-microbench", help="Measure the CPU's cores first.")
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Try layouts that must be compiled, and compile them.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the tuning in the folder, or the newest.")
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder; one under ./results.")
]
Write = Annotated[bool, typer.Option("--write", help="Write the layout into the spec file.")]
Json = Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")]


def tune(
    spec: SpecPath = None,
    budget: BudgetText = "6",
    risk: Risk = 0.05,
    batch_sizes: BatchSizes = None,
    points: Points = None,
    requests: Requests = None,
    seed: Seed = None,
    timeout: Timeout = "10m",
    processes: Processes = 1,
    microbench: Microbench = True,
    compile_: Compile = False,
    resume: Resume = False,
    output: Output = None,
    write: Write = False,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Find the layout to use: predict, measure the most promising one, correct, and again.

    Ctrl-C stops it; the same command with --resume goes on.
    """
    loaded = _loaded(spec, set_ or [], requests=requests, seed=seed)
    path = _writable(spec, write=write)
    limit, view = parse_budget(budget), TuneView()
    client = _client(loaded, timeout, processes, view)
    prepared = _prepared(loaded)
    sheet = _cores(prepared.machine, view, measure=microbench)
    serving = Serving(prepared, state_root())
    question = _question(prepared, serving.taken(), risk=risk, batch_sizes=batch_sizes)
    others = _given(points or [], question, view)
    folder = output or default_folder("tune", loaded.name, resume=resume)
    with ExitStack() as stack:
        first = _begun(loaded, prepared, client)
        journal = stack.enter_context(opened(folder, first, resume=resume))
        compiling = stack.enter_context(shown_compile(view.console)) if compile_ else None
        start = _start(folder, question, sheet, fresh=not journal.kept.runs)
        session = Session(
            spec=prepared.spec,
            serving=serving,
            journal=journal,
            client=client,
            budget=limit,
            watch=view,
            compiling=compiling,
            root=state_root(),
            command=_command(),
        )
        tuned = _tuned(session, _problem(question, start, others))
    _report(tuned, folder, json=json)
    _keep(tuned, start, question, write_to=path, quiet=json)
    _exit(tuned)


def _loaded(
    path: Path | None, pairs: Sequence[str], *, requests: int | None, seed: int | None
) -> Spec:
    flags = {"workload.requests": requests, "workload.seed": seed}
    given = {key: str(value) for key, value in flags.items() if value is not None}
    return load_spec(path, environ=os.environ, overrides={**settings_given(pairs), **given})


def _client(spec: Spec, timeout: str, processes: int, view: TuneView) -> LoadClient:
    return LoadClient(
        workload=workload_of(spec, ignore_eos=True),
        timeout=timeout_s(timeout),
        processes=processes,
        console=view.console,
    )


def _prepared(spec: Spec) -> Prepared:
    with shown_download() as progress:
        return prepare(tuned_spec(spec), progress=progress)


def _cores(machine: Machine, view: TuneView, *, measure: bool) -> CpuSheet | None:
    """Measure the cores where no data sheet tells, and say what is known of them."""
    if machine.kind == CPU and measure:
        sheet = cpu_sheet(machine, calibrations_folder(), watch=view.measuring_cores)
        view.cores(sheet)
        return sheet
    if machine.kind not in (CPU, "sim"):
        view.note(f"{machine.name}: by its data sheet; its cores were not measured")
    return None


def _question(
    prepared: Prepared, taken: CoreRange, *, risk: float, batch_sizes: str | None
) -> Question:
    sizes = None
    if batch_sizes is not None:
        sizes = parse_counts("--batch-sizes", batch_sizes, of="slots")
    elif prepared.machine.kind == CPU:
        sizes = tuple(sorted({*_CPU_SLOTS, prepared.spec.layout.batch_size}))
    return question_of(prepared, risk=risk, batch_sizes=sizes, taken=taken)


def _begun(spec: Spec, prepared: Prepared, client: LoadClient) -> Begun:
    seed = secrets.randbits(32) if spec.workload.seed is None else spec.workload.seed
    started_at = now().isoformat(timespec="seconds")
    return begun(spec, prepared, client, seed=seed, started_at=started_at)


def _writable(spec: Path | None, *, write: bool) -> Path | None:
    """Return where the layout is to be written; None for nowhere."""
    if write and spec is None:
        raise ConfigError(
            "--write: there is no spec file to write the layout into",
            hint="`replicore init` writes one",
        )
    return spec if write else None


def _given(files: Sequence[str], question: Question, view: TuneView) -> list[Observation]:
    """Return the calibration points of other results."""
    points = read_points(files, partial(case_at, question))
    for point in points:
        view.note(point.warning or f"{point.observation.source} counts, as {point.layout}")
    return [point.observation for point in points]


def _start(folder: Path, question: Question, sheet: CpuSheet | None, *, fresh: bool) -> Start:
    key = key_of_question(question)
    start = known_before(folder / _START, key, fresh=fresh)
    # Where the cores of a replica are threads of one rank there are no collectives.
    if sheet is None or question.cores.rank_cores is None:
        return start
    predictor = with_collective(start.predictor, key, sheet.link_latency_s)
    return replace(start, predictor=predictor)


def _problem(question: Question, start: Start, given: Sequence[Observation]) -> Problem:
    return Problem(
        question=question, start=start.predictor, given=given, remembered=start.remembered
    )


def _tuned(session: Session, problem: Problem) -> Tuned:
    """Make the runs that are worth it, until there are none, or a signal ends it."""
    tuner = session.tuner(problem)
    uvloop.run(until_stopped(tuner.run(), session.serving.kill))
    return tuner.found()


def _report(tuned: Tuned, folder: Path, *, json: bool) -> None:
    """Print first: findings that cannot be written are then not lost."""
    data = tune_document(tuned, command=_command(), environment=environment())
    if json:
        sys.stdout.write(data.decode())
    else:
        print_found(tuned)
    write_file(folder / "tune.json", data)
    typer.echo(f"result: {folder / 'tune.json'}", err=json)


def _keep(
    tuned: Tuned, start: Start, question: Question, *, write_to: Path | None, quiet: bool
) -> None:
    """Write the calibration of this machine, and the layout where that is asked."""
    seen = tuned.observations()
    if seen and not tuned.simulated:
        path = write_finding(start, seen, model=question.model)
        typer.echo(f"calibration: {path}", err=quiet)
    if write_to is not None:
        typer.echo(_write(tuned, write_to), err=quiet)


def _write(tuned: Tuned, path: Path) -> str:
    """Write the layout, if one is good enough; return what was done."""
    best = None if tuned.belief is None else tuned.belief.proven
    if best is None:
        return f"{path} is as it was: no layout that was measured meets the objectives"
    write_layout(path, best.outcome)
    rival = unproven(tuned)
    return f"wrote {best.size} into {path}" + (f"; not proven: {rival}" if rival else "")


def _command() -> Sequence[str]:
    return ["replicore", *sys.argv[1:]]


def _exit(tuned: Tuned) -> None:
    if tuned.stop.end is End.INTERRUPTED:
        typer.echo("stopped; the same command with --resume goes on", err=True)
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    if not tuned.trials:
        reasons = "; ".join(f"{size}: {message}" for size, message in tuned.failed.items())
        raise ReplicoreError(f"no layout could be measured: {reasons or tuned.stop.why}")
