"""``replicore sweep``: deploy and measure several layouts of a spec, and say which is best."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from replicore import __version__
from replicore.bench.results import write_file
from replicore.bench.stats.summary import Objectives
from replicore.bench.sweep.conditions import conditions_of
from replicore.bench.sweep.document import sweep_document
from replicore.bench.sweep.entries import Begun
from replicore.bench.sweep.findings import Findings, find
from replicore.bench.sweep.journal import Journal, opened
from replicore.bench.sweep.measuring import LoadClient, RunFiles
from replicore.bench.sweep.page import sweep_page
from replicore.bench.sweep.plan import (
    AUTO,
    REQUESTS_PER_PLACE,
    SweepPlan,
    SweptLayout,
    arms_of,
    parse_concurrencies,
    parse_layouts,
)
from replicore.bench.sweep.runner import Sweeper
from replicore.bench.sweep.serving import Serving, swept_spec
from replicore.cli.compile import compile_if_needed
from replicore.cli.download import shown_download
from replicore.cli.journalled import default_folder, now, timeout_s, until_stopped, workload_of
from replicore.cli.settings import Set, settings_given
from replicore.cli.sweep_view import SweepView, print_findings
from replicore.deploy.deployment import prepare
from replicore.deploy.state import state_root
from replicore.errors import INTERRUPTED_EXIT_CODE, ReplicoreError
from replicore.hardware.machine import Machine
from replicore.spec import Spec, load_spec

SpecPath = Annotated[
    Path | None, typer.Argument(metavar="SPEC", help="What is deployed, and the workload.")
]
Layouts = Annotated[
    str,
    typer.Option(
        metavar="RxT,...|auto",
        help="Replicas x cores of each, and x slots of each where they differ: 2x1,1x2x8.",
    ),
]
Concurrency = Annotated[
    str | None,
    typer.Option(
        "-c", "--concurrency", metavar="N,...", help="Requests in flight; 1, half and all slots."
    ),
]
Repeats = Annotated[int, typer.Option(min=1, help="Runs of each layout at each load, interleaved.")]
Requests = Annotated[
    int | None,
    typer.Option("-n", "--requests", min=1, help="Requests of a run; 10 for each in flight."),
]
Seed = Annotated[int | None, typer.Option(help="Of lengths and prompts; a new one each sweep.")]
Timeout = Annotated[str, typer.Option(help="Longest time of one request.")]
IgnoreEos = Annotated[
    bool, typer.Option(help="Whether outputs are as long as was asked, whatever the model says.")
]
Alone = Annotated[
    bool, typer.Option("--scaling/--no-scaling", help="Measure one replica alone, too.")
]
Processes = Annotated[int, typer.Option(min=1, help="Processes of the load client.")]
Compile = Annotated[
    bool, typer.Option("--compile", help="First compile what a layout needs and does not have.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the sweep in the folder, or the newest.")
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder; one under ./results.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")]


def sweep(
    spec: SpecPath = None,
    layouts: Layouts = AUTO,
    concurrency: Concurrency = None,
    repeats: Repeats = 3,
    requests: Requests = None,
    seed: Seed = None,
    timeout: Timeout = "10m",
    ignore_eos: IgnoreEos = True,
    scaling: Alone = True,
    processes: Processes = 1,
    compile_: Compile = False,
    resume: Resume = False,
    output: Output = None,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Deploy several layouts in turn, measure them, and say which is best.

    Ctrl-C stops it; the same command with --resume goes on.
    """
    flags = {"workload.requests": requests, "workload.seed": seed}
    given = {key: str(value) for key, value in flags.items() if value is not None}
    overrides = {**settings_given(set_ or []), **given}
    loaded = load_spec(spec, environ=os.environ, overrides=overrides)
    view = SweepView()
    client = LoadClient(
        workload=workload_of(loaded, ignore_eos=ignore_eos),
        timeout=timeout_s(timeout),
        processes=processes,
        console=view.console,
    )
    serving, machine = _serving(loaded)
    chosen = serving.candidates() if layouts.strip() == AUTO else parse_layouts(layouts)
    plan = _plan(loaded, chosen, concurrency, repeats=repeats, scaling=scaling)
    _check(plan, serving, compile_missing=compile_)
    folder = output or default_folder("sweep", loaded.name, resume=resume)
    begun = _begun(loaded, machine, client, plan)
    with opened(folder, begun, resume=resume) as journal:
        plan = plan.with_seed(journal.kept.begun.seed)
        interrupted = _sweep(loaded.name, plan, journal, serving, client, view)
        found = _findings(loaded, plan, journal)
    _report(found, folder, json=json)
    _exit(found, interrupted=interrupted)


def _check(plan: SweepPlan, serving: Serving, *, compile_missing: bool) -> None:
    """Refuse, before anything is measured, what cannot be deployed."""
    for arm in plan.arms:
        serving.check(arm.layout)
    for arm in plan.arms:
        if compile_missing:
            compile_if_needed(serving.prepared_for(arm.layout))
        else:
            serving.check_compiled(arm.layout)


def _serving(spec: Spec) -> tuple[Serving, Machine]:
    with shown_download() as progress:
        prepared = prepare(swept_spec(spec), progress=progress)
    return Serving(prepared, state_root()), prepared.machine


def _plan(
    spec: Spec,
    layouts: Sequence[SweptLayout],
    concurrency: str | None,
    *,
    repeats: int,
    scaling: bool,
) -> SweepPlan:
    asked = None if concurrency is None else parse_concurrencies(concurrency)
    loads = asked or default_loads(spec, layouts)
    is_given = "requests" in spec.workload.model_fields_set
    return SweepPlan(
        arms=arms_of(layouts, loads, scaling=scaling),
        repeats=repeats,
        requests=spec.workload.requests,
        per_place=0 if is_given else REQUESTS_PER_PLACE,
        seed=secrets.randbits(32) if spec.workload.seed is None else spec.workload.seed,
    )


def default_loads(spec: Spec, layouts: Sequence[SweptLayout]) -> tuple[int, ...]:
    """Return one request alone, and half and all of the slots of the layout with most."""
    slots = [one.replicas * (one.batch_size or spec.layout.batch_size) for one in layouts]
    top = spec.workload.concurrency or max(slots)
    return tuple(sorted({1, max(1, top // 2), top}))


def _begun(spec: Spec, machine: Machine, client: LoadClient, plan: SweepPlan) -> Begun:
    conditions = conditions_of(
        spec,
        machine,
        requests=plan.requests,
        requests_per_place=plan.per_place,
        ignore_eos=client.workload.ignore_eos,
        timeout=client.timeout,
        processes=client.processes,
        replicore=__version__,
    )
    started_at = now().isoformat(timespec="seconds")
    return Begun(name=spec.name, seed=plan.seed, started_at=started_at, conditions=conditions)


def _sweep(
    name: str,
    plan: SweepPlan,
    journal: Journal,
    serving: Serving,
    client: LoadClient,
    view: SweepView,
) -> bool:
    """Make the runs that the journal does not have; return whether a signal ended it before."""
    files = RunFiles(folder=journal.folder, name=name, command=_command())
    view.begin(plan, journal.kept.runs)
    sweeper = Sweeper(
        plan,
        journal,
        serve=serving.serve,
        measure=client.measure,
        keep=files.keep,
        watch=view,
    )
    return uvloop.run(until_stopped(sweeper.run(), serving.kill))


def _findings(spec: Spec, plan: SweepPlan, journal: Journal) -> Findings:
    kept = journal.kept
    return find(
        plan,
        name=spec.name,
        started_at=kept.begun.started_at,
        conditions=kept.begun.conditions,
        slo=Objectives(ttft_s=spec.slo.ttft_p99, tpot_s=spec.slo.tpot_p99),
        runs=kept.runs,
        failed=kept.failed,
    )


def _report(found: Findings, folder: Path, *, json: bool) -> None:
    """Print first: findings that cannot be written are then not lost."""
    data = sweep_document(found, command=_command())
    if json:
        sys.stdout.write(data.decode())
    else:
        print_findings(found)
    write_file(folder / "sweep.json", data)
    write_file(folder / "sweep.html", sweep_page(found, command=_command()).encode())
    typer.echo(f"result: {folder / 'sweep.json'}", err=json)
    typer.echo(f"page: {folder / 'sweep.html'}", err=json)


def _command() -> Sequence[str]:
    return ["replicore", *sys.argv[1:]]


def _exit(found: Findings, *, interrupted: bool) -> None:
    if interrupted:
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    if not found.cells:
        reasons = "; ".join(f"{one.layout}: {one.message}" for one in found.failed)
        raise ReplicoreError(f"no layout could be measured: {reasons}")
