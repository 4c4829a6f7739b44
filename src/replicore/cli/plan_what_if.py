"""``plan --what-if``: a layout's numbers from a measured result of another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from replicore.bench.sweep.plan import SweptLayout
from replicore.cli.console import print_line, report_console
from replicore.errors import ConfigError
from replicore.planner.advice import told_s
from replicore.planner.asked import parse_layout
from replicore.planner.layouts import Layout
from replicore.planner.plan import Forecast
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Question
from replicore.planner.step.traffic import Case, Traffic
from replicore.planner.whatif import WhatIf, what_if
from replicore.tune.belief import case_at
from replicore.tune.point_files import read_points

# As sweep and tune name the files of their runs, and as a layout is given behind a file's name.
_HAS_LAYOUT = re.compile(r"\d+x\d+(x\d+)?-c\d+-r\d+\.json|.*=\d+x\d+(x\d+)?")


def predict(question: Question, predictor: Predictor, result: str, other: str) -> WhatIf:
    """Return what the layout ``other`` would do.

    Args:
        result: A file, with ``=RxT`` behind it where the layout is not the spec's.

    Raises:
        ConfigError: It cannot be read or used, or nobody says which layout it is of.
        InfeasiblePlan: The layout cannot be run.
    """

    def case_of(layout: SweptLayout, traffic: Traffic) -> Case:
        return case_at(question, layout, traffic)

    (point, *_) = read_points([_with_layout(result, question.own_size)], case_of)
    slots = max(1, round(point.observation.case.traffic.concurrency))
    measured = Layout(
        replicas=point.layout.replicas,
        tp=point.layout.tp,
        batch_size=point.layout.batch_size or slots,
    )
    replicas, tp, batch_size = parse_layout("--what-if", other)
    in_flight = point.observation.case.traffic.concurrency * measured.replicas
    wanted = Layout(
        replicas=replicas, tp=tp, batch_size=batch_size or max(1, -(-round(in_flight) // replicas))
    )
    return what_if(question, predictor, point.observation, measured, wanted)


def _with_layout(result: str, own_size: str) -> str:
    if _HAS_LAYOUT.fullmatch(Path(result).name):
        return result
    if not own_size:
        raise ConfigError(
            f"--what-if: {result} does not say with which layout it was measured, and the spec "
            "leaves it open",
            hint=f"write it behind the file: {result}=2x4 is 2 replicas of 4 cores",
        )
    return f"{result}={own_size}"


def print_what_if(found: WhatIf) -> None:
    """Print both layouts, and what of the prediction rests on the measurement."""
    screen = report_console()
    service = found.after.service
    if service is None:
        return
    ratio = service.tokens_per_s.value / found.tokens_per_s
    sentence = (
        f"{found.after.size} would give {_rate(service.tokens_per_s)} output tok/s, "
        f"{ratio:.2f} times those measured with {found.layout.size}"
    )
    print_line(screen, f"{sentence}\n", style="bold")
    screen.print(_table(found))
    for line in _lines(found):
        print_line(screen, line)


def _table(found: WhatIf) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in ("output tok/s", "TTFT", "TPOT"):
        table.add_column(name, justify="right", no_wrap=True)
    measured = found.measured
    table.add_row(
        f"{found.layout.size}, measured",
        f"{found.tokens_per_s:.4g}",
        told_s(measured.ttft_s or 0.0),
        told_s(measured.tpot_s or 0.0),
    )
    for name, outcome in (("from it", found.after), ("without it", found.before)):
        service = outcome.service
        if service is not None:
            table.add_row(
                f"{outcome.size}, {name}",
                _rate(service.tokens_per_s),
                _time(service.ttft_s),
                _time(service.tpot_s),
            )
    return table


def _rate(found: Forecast) -> str:
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"


def _time(found: Forecast | None) -> str:
    if found is None:
        return ""
    return f"{told_s(found.value)} ({told_s(found.low)} to {told_s(found.high)})"


def _lines(found: WhatIf) -> Iterator[str]:
    off = (found.measured.tpot_s or 0.0) / found.model_tpot_s
    yield ""
    yield (
        f"the model says TPOT {told_s(found.model_tpot_s)} of the measured layout, which took "
        f"{off:.2f} times that; what it has wrong in both cancels in their ratio"
    )
    yield "intervals hold 80 % of cases, and are the wider the further apart the layouts are"
