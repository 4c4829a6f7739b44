"""``replicore plan``: what every layout would do, which is best, and why."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from replicore.cli.plan_explain import find_layout, print_explanation
from replicore.cli.plan_fleet import print_fleets
from replicore.cli.plan_hardware import elsewhere, hardware_given
from replicore.cli.plan_view import print_plan
from replicore.cli.settings import Set, settings_given
from replicore.deploy.deployment import prepare
from replicore.deploy.knowledge import predictor_for
from replicore.deploy.question import question_of
from replicore.errors import ConfigError, InfeasiblePlan
from replicore.files import write_atomically
from replicore.planner.asked import parse_layout, parse_slo
from replicore.planner.document import fleet_document, plan_document, what_if_document
from replicore.planner.fleet import Fleet, fleets
from replicore.planner.plan import Plan
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Load, Question
from replicore.planner.recommend import plan as plan_of
from replicore.spec import Spec, load_spec

SpecPath = Annotated[
    Path | None, typer.Argument(metavar="SPEC", help="The model, the machine and the workload.")
]
Slo = Annotated[
    str | None, typer.Option(metavar="LIMITS", help="99th percentiles: ttft=2s,tpot=40ms.")
]
Rate = Annotated[
    float | None, typer.Option(metavar="N", help="Requests per second; how many machines it takes.")
]
Concurrency = Annotated[
    int | None, typer.Option("-c", "--concurrency", min=1, help="Requests in flight, all replicas.")
]
Risk = Annotated[
    str, typer.Option(metavar="P", help="Probability of missing the limits that is accepted.")
]
Hardware = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Plan for 8xH100, 4xMI300X, trn2.48xlarge and so on."),
]
Explain = Annotated[
    str | None, typer.Option(metavar="RxT[xB]", help="Break one layout's numbers down.")
]
WhatIf = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--what-if",
        metavar="RESULT RxT[xB]",
        help="Predict a layout from a measured result of another one.",
    ),
]
CalibrationFiles = Annotated[
    list[Path] | None, typer.Option("--calibration", metavar="FILE", help="One more to start from.")
]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with charts.")]
Simulate = Annotated[
    bool, typer.Option("--simulate", help="Simulate the three best: percentiles, by event.")
]
Every = Annotated[bool, typer.Option("--all", help="List all layouts, with every batch size.")]
Json = Annotated[bool, typer.Option("--json", help="Print the plan as JSON on stdout.")]

# Against a slip: no service has as many requests per second.
_MOST_PER_S = 10_000_000


def plan(
    spec: SpecPath = None,
    slo: Slo = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
    risk: Risk = "5%",
    hardware: Hardware = None,
    explain: Explain = None,
    what_if: WhatIf = None,
    calibration: CalibrationFiles = None,
    html: Html = None,
    simulate: Simulate = False,
    every: Every = False,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Predict every layout of a machine, recommend one and say why.

    Nothing is started or downloaded; the machine may be another one.
    """
    given = settings_given(set_ or [])
    overrides = {**hardware_given(hardware), **given}
    loaded = load_spec(spec, environ=os.environ, overrides=overrides)
    if hardware is not None:
        loaded = elsewhere(loaded, given)
    prepared = prepare(loaded, outline=True)
    question = question_of(
        prepared,
        load=_load(loaded, rate, concurrency),
        slo=parse_slo(slo) if slo is not None else None,
        risk=_risk(risk),
    )
    predictor = predictor_for(prepared, question, calibration or [])
    if what_if is not None:
        _predict_from(question, predictor, *what_if, json=json)
        return
    answer = plan_of(question, predictor)
    found = fleets(question, predictor) if question.load.rate_per_s is not None else []
    if html is not None:
        _write_page(answer, html)
    if json:
        _print_json({**plan_document(answer), "fleets": [fleet_document(each) for each in found]})
    elif explain is not None:
        print_explanation(
            answer, find_layout(answer, *parse_layout("--explain", explain)), predictor
        )
    else:
        _print_text(answer, found, every=every)
        if simulate:
            _simulate(answer, predictor)
    if answer.best is None:
        raise InfeasiblePlan(answer.reason)


def _print_text(answer: Plan, found: list[Fleet], *, every: bool) -> None:
    if answer.question.load.rate_per_s is not None:
        print_fleets(answer.question, found)
    print_plan(answer, every=every)


def _load(spec: Spec, rate: float | None, concurrency: int | None) -> Load | None:
    if rate is not None and concurrency is not None:
        raise ConfigError(
            "--rate and --concurrency are two loads: requests that arrive whatever happens, and "
            "users that wait for their answers; give one of them"
        )
    if rate is not None and not 0 < rate <= _MOST_PER_S:
        raise ConfigError(
            f"--rate: {rate:g} is not above 0 and up to {_MOST_PER_S:,}; use --rate 40"
        )
    if rate is None and concurrency is None:
        return None
    return Load(rate_per_s=rate, concurrency=concurrency)


def _risk(text: str) -> float:
    """Return a probability, given as ``5%`` or ``0.05``."""
    number = text.strip()
    try:
        share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise ConfigError(f'--risk: "{text}" is no probability between 0 and 1; write it like 5%')
    return share


def _predict_from(
    question: Question, predictor: Predictor, result: str, other: str, *, json: bool
) -> None:
    # it takes the benchmark's readers, which a plan does without
    view = import_module("replicore.cli.plan_what_if")
    found = view.predict(question, predictor, result, other)
    if json:
        _print_json(what_if_document(found))
    else:
        view.print_what_if(found)


def _simulate(answer: Plan, predictor: Predictor) -> None:
    # the simulation is the gateway's routing too, which a plan does without
    found = import_module("replicore.planner.finalists").finalists(answer, predictor, count=3)
    import_module("replicore.cli.plan_simulated").print_finalists(found)


def _print_json(document: dict[str, object]) -> None:
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def _write_page(answer: Plan, path: Path) -> None:
    # plotly takes a second to import
    page = import_module("replicore.plan_page.page")
    try:
        write_atomically(path, page.plan_page(answer, command=_command()).encode())
    except OSError as error:
        raise ConfigError(
            f"--html: {path} cannot be written ({error.strerror}); give another file"
        ) from error
    typer.echo(f"page: {path}", err=True)


def _command() -> str:
    return " ".join(["replicore", *sys.argv[1:]])
