"""The pure modules of docs/design.md do no I/O, and import no module that does.

Pure: the same arguments give the same result, and nothing outside changes. So these modules know
no file, socket, process, thread, event loop or clock; what they need of them is an argument.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import replicore

ROOT = Path(replicore.__file__).parent

PURE = [
    "tune/budget.py",
    "tune/refit.py",
    "tune/collective_prior.py",
    "tune/belief.py",
    "tune/loop.py",
    "tune/layouts.py",
    "tune/points.py",
    "tune/tuned.py",
    "tune/said.py",
    "tune/document.py",
    "tune/spec_text.py",
    "planner/advice.py",
    "planner/asked.py",
    "planner/prediction/breakdown.py",
    "planner/prediction/calibrate.py",
    "planner/prediction/calibration.py",
    "planner/changes.py",
    "planner/choose.py",
    "planner/step/compiled.py",
    "planner/serving/costs.py",
    "planner/serving/curves.py",
    "planner/document.py",
    "planner/finalists.py",
    "planner/prediction/fit.py",
    "planner/fleet.py",
    "planner/serving/flow.py",
    "planner/layouts.py",
    "planner/legality.py",
    "planner/prediction/offline.py",
    "planner/plan.py",
    "planner/step/precision.py",
    "planner/prediction/predictor.py",
    "planner/prediction/priors.py",
    "planner/question.py",
    "planner/serving/queueing.py",
    "planner/recommend.py",
    "planner/step/replica.py",
    "planner/prediction/residual.py",
    "planner/serving/service.py",
    "planner/sheet.py",
    "planner/serving/spread.py",
    "planner/prediction/static_priors.py",
    "planner/step/static_terms.py",
    "planner/prediction/steps.py",
    "planner/step/terms.py",
    "planner/step/traffic.py",
    "planner/whatif.py",
    "deploy/picking.py",
    "plan_page/picks.py",
    "plan_page/words.py",
    "plan_page/scatter.py",
    "plan_page/columns.py",
    "plan_page/tables.py",
    "plan_page/trust.py",
    "hardware/cpu_sheet.py",
    "planner/simulate/arrivals.py",
    "planner/simulate/continuous.py",
    "planner/simulate/decoding.py",
    "planner/simulate/failures.py",
    "planner/simulate/fleet.py",
    "planner/simulate/gateway.py",
    "planner/simulate/independent.py",
    "planner/simulate/job.py",
    "planner/simulate/load.py",
    "planner/simulate/model.py",
    "planner/simulate/outcome.py",
    "planner/simulate/replica.py",
    "planner/simulate/speeds.py",
    "planner/simulate/standings.py",
    "planner/simulate/static.py",
    "planner/simulate/stepped.py",
    "planner/simulate/stretch.py",
    "planner/simulate/summary.py",
    "planner/simulate/theory.py",
    "models/parts.py",
    "models/anatomy.py",
    "models/infer.py",
    "models/stored.py",
    "models/families.py",
    "models/config_values.py",
    "models/config_anatomy.py",
    "models/config_weights.py",
    "models/formats.py",
    "planner/memory/activation.py",
    "planner/memory/loaded.py",
    "planner/memory/neuron.py",
    "planner/memory/rank.py",
    "planner/memory/shared.py",
    "planner/memory/vllm.py",
    "hardware/device.py",
    "lints/flash_attention.py",
    "engines/sim/embedding.py",
    "engines/sim/bodies.py",
    "engines/sim/metrics.py",
    "engines/sim/pace.py",
    "engines/sim/stepped.py",
    "engines/sim/shapes.py",
    "engines/sim/profiles.py",
    "engines/sim/steptime.py",
    "artefacts/digest.py",
    "artefacts/match.py",
    "artefacts/stages.py",
    "engines/known_errors/__init__.py",
    "engines/known_errors/known_error.py",
    "engines/known_errors/llamacpp.py",
    "engines/known_errors/neuron.py",
    "engines/known_errors/search.py",
    "engines/known_errors/system.py",
    "engines/known_errors/vllm.py",
    "lints/addresses.py",
    "lints/arguments.py",
    "lints/buckets.py",
    "lints/compiled.py",
    "lints/concurrency.py",
    "lints/exceedance.py",
    "lints/flags.py",
    "lints/heads.py",
    "lints/kv_cache.py",
    "lints/lengths.py",
    "lints/lint.py",
    "lints/loading.py",
    "lints/plan.py",
    "lints/sampling.py",
    "lints/supervision.py",
    "lints/variables.py",
    "engines/vllm/options.py",
    "engines/vllm/split.py",
    "engines/vllm/formats.py",
    "engines/vllm/memory.py",
    "engines/vllm/launch.py",
    "engines/vllm/compile_cache.py",
    "hardware/cuda_devices.py",
    "hardware/cuda_planned.py",
    "hardware/neuron/instance.py",
    "hardware/neuron/node.py",
    "hardware/neuron/degrees.py",
    "hardware/neuron/neuron_ls.py",
    "hardware/neuron/view.py",
    "engines/neuron/arguments.py",
    "engines/neuron/compiled.py",
    "engines/neuron/demo_flags.py",
    "engines/neuron/fields.py",
    "engines/neuron/fork.py",
    "engines/neuron/generation.py",
    "engines/neuron/inference_demo.py",
    "engines/neuron/memory.py",
    "engines/neuron/native.py",
    "engines/neuron/nxdi.py",
    "engines/neuron/override.py",
    "engines/neuron/recipes.py",
    "engines/neuron/runtime_env.py",
    "render/file.py",
    "render/words.py",
    "render/differences.py",
    "render/notes.py",
    "render/shell/text.py",
    "render/systemd/text.py",
    "findings.py",
    "engines/command.py",
    "engines/recipe.py",
    "bench/record.py",
    "bench/stats/summary.py",
    "bench/client/stream.py",
    "bench/load/arrivals.py",
    "bench/load/jobs.py",
    "bench/load/workload.py",
    "bench/report/charts/bins.py",
    "bench/report/charts/distributions.py",
    "bench/report/figure.py",
    "bench/report/headline.py",
    "bench/report/charts/health.py",
    "bench/report/html_tables.py",
    "bench/report/markup.py",
    "bench/report/notes.py",
    "bench/report/pulse.py",
    "bench/report/charts/replicas.py",
    "bench/report/charts/samples.py",
    "bench/report/charts/timeline.py",
    "bench/report/view.py",
    "bench/report/words.py",
    "bench/load/bodies.py",
    "bench/load/data/conversations.py",
    "bench/load/lengths.py",
    "bench/load/plan.py",
    "bench/load/prompts/pool.py",
    "bench/load/sessions/recorded.py",
    "bench/load/sessions/replay.py",
    "bench/load/seeds.py",
    "bench/load/prompts/sizing.py",
    "bench/load/sessions/synthetic.py",
    "bench/load/data/traces.py",
    "bench/load/sessions/turns.py",
    "bench/load/prompts/words.py",
    "bench/compare/comparison.py",
    "bench/compare/document.py",
    "bench/compare/judging.py",
    "bench/compare/meaning.py",
    "bench/compare/measured.py",
    "bench/compare/obstacles.py",
    "bench/compare/pairing.py",
    "bench/compare/ratio.py",
    "bench/compare/words.py",
    "bench/compare/formats/aiperf.py",
    "bench/compare/formats/guidellm.py",
    "bench/compare/formats/llmperf.py",
    "bench/compare/formats/replicore.py",
    "bench/compare/formats/source.py",
    "bench/compare/formats/vllm.py",
    "bench/stats/arrays.py",
    "bench/stats/bootstrap.py",
    "bench/stats/client.py",
    "bench/stats/columns.py",
    "bench/stats/correlation.py",
    "bench/stats/evenness.py",
    "bench/stats/flow.py",
    "bench/stats/latency.py",
    "bench/stats/little.py",
    "bench/stats/objectives.py",
    "bench/stats/occupancy.py",
    "bench/stats/quantiles.py",
    "bench/stats/rates.py",
    "bench/stats/rows.py",
    "bench/stats/scaling.py",
    "bench/stats/start_up.py",
    "bench/stats/survival.py",
    "bench/stats/tails.py",
    "bench/stats/trend.py",
    "bench/stats/window.py",
    "bench/llmperf/bar.py",
    "bench/llmperf/block.py",
    "bench/llmperf/bodies.py",
    "bench/llmperf/correctness_report.py",
    "bench/llmperf/entries.py",
    "bench/llmperf/number_words.py",
    "bench/llmperf/options.py",
    "bench/llmperf/outcome.py",
    "bench/llmperf/own_prompts.py",
    "bench/llmperf/prompts.py",
    "bench/llmperf/questions.py",
    "bench/llmperf/servers.py",
    "bench/llmperf/summary.py",
    "bench/client/census.py",
    "bench/client/feed.py",
    "bench/client/plan.py",
    "bench/client/tick.py",
    "bench/sweep/plan.py",
    "bench/sweep/candidates.py",
    "bench/sweep/entries.py",
    "bench/sweep/conditions.py",
    "bench/sweep/student.py",
    "bench/sweep/cells.py",
    "bench/sweep/ranking.py",
    "bench/sweep/findings.py",
    "bench/sweep/said.py",
    "bench/sweep/charts.py",
    "bench/selfcheck/against_mock.py",
    "bench/selfcheck/seconds.py",
    "bench/selfcheck/server_metrics.py",
    "bench/selfcheck/verdict.py",
    "bench/selfcheck/mock/account.py",
    "bench/selfcheck/mock/answers.py",
    "bench/selfcheck/mock/schedule.py",
    "bench/selfcheck/mock/spread.py",
    "cores.py",
    "deploy/exits.py",
    "deploy/layout.py",
    "deploy/placement.py",
    "deploy/replica.py",
    "deploy/room.py",
    "engines/engine.py",
    "engines/llamacpp_memory.py",
    "engines/llamacpp_options.py",
    "engines/sim/faults.py",
    "engines/sim/model.py",
    "engines/sim/prefix_cache.py",
    "engines/sim/scheduler.py",
    "engines/sim/sequence.py",
    "engines/sim/tokenizer.py",
    "engines/sim/wire.py",
    "errors.py",
    "gateway/admission.py",
    "gateway/routing/breaker.py",
    "gateway/routing/budget.py",
    "gateway/observe/catalogue.py",
    "gateway/resume/continuation.py",
    "gateway/observe/engine_metrics.py",
    "gateway/observe/exposition.py",
    "gateway/routing/lengths.py",
    "gateway/access/limits.py",
    "gateway/observe/metrics.py",
    "gateway/routing/prefix.py",
    "gateway/routing/rates.py",
    "gateway/record.py",
    "gateway/routing/policies.py",
    "gateway/resume/seam.py",
    "gateway/resume/sent.py",
    "gateway/table.py",
    "gateway/workers/totals.py",
    "gateway/observe/traceparent.py",
    "gateway/wire.py",
    "http/body.py",
    "http/request.py",
    "hardware/machine.py",
    "http/sse.py",
    "models/shape.py",
    "openai.py",
    "spec/keys.py",
    "spec/problems.py",
    "spec/tables.py",
    "spec/values.py",
    "units.py",
    "wording.py",
]

IMPURE_STDLIB = """
    asyncio concurrent ctypes fcntl fileinput getpass glob http.client http.server importlib io
    logging mmap multiprocessing os platform pty pwd resource runpy sched select selectors shutil
    signal socket socketserver sqlite3 ssl subprocess sys syslog tempfile termios threading time
    urllib.request webbrowser
"""
PURE_THIRD_PARTY = {"msgspec", "numpy", "pydantic", "pydantic_core", "xxhash"}
IMPURE_CALLS = {"__import__", "eval", "exec", "input", "open", "print"}
# A Path is a value as long as none of these is called on it.
IMPURE_METHODS = """
    cwd exists expanduser glob home is_dir is_file is_symlink iterdir lstat mkdir open read_bytes
    read_text resolve rglob rmdir samefile stat touch unlink write_bytes write_text
"""


def nodes_at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree without the bodies of ``if TYPE_CHECKING``: those imports never happen."""
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        children = iter(node.orelse)
    yield node
    for child in children:
        yield from nodes_at_run_time(child)


def imported_names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=str(module), names=names):
            return [f"{module}.{name.name}" for name in names]
    return []


def module_file(name: str) -> Path | None:
    """Return the file of a replicore module, or of the module that a dotted name is in.

    The ``__init__.py`` above a module only re-exports, so it is read only where it is named itself.
    """
    parts = name.split(".")[1:]
    for end in range(len(parts), -1, -1):
        stem = ROOT.joinpath(*parts[:end])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return path
    return None


def is_impure_import(name: str) -> bool:
    package = name.partition(".")[0]
    if package in sys.stdlib_module_names:
        return any(
            name == impure or name.startswith(f"{impure}.") for impure in IMPURE_STDLIB.split()
        )
    return package != "replicore" and package not in PURE_THIRD_PARTY


def impurities(node: ast.AST) -> Iterator[str]:
    yield from (f"imports {name}" for name in imported_names(node) if is_impure_import(name))
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
            yield f"calls {name}()"
        case ast.Call(func=ast.Attribute(attr=name)) if name in IMPURE_METHODS.split():
            yield f"calls .{name}()"


def faults(path: Path, seen: set[Path]) -> Iterator[str]:
    """Yield every impurity of a module and of the replicore modules that it imports."""
    seen.add(path)
    for node in nodes_at_run_time(ast.parse(path.read_text())):
        for impurity in impurities(node):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} {impurity}"
        for name in imported_names(node):
            inner = module_file(name) if name.startswith("replicore.") else None
            if inner is not None and inner not in seen:
                yield from faults(inner, seen)


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_does_no_io_and_imports_none_that_does(module: str) -> None:
    assert list(faults(ROOT / module, set())) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import os.path", "imports os.path"),
        ("from os import path", "imports os.path"),
        ("from urllib.request import urlopen", "imports urllib.request.urlopen"),
        ("def f():\n  import socket", "imports socket"),
        ("import httptools", "imports httptools"),
        ("print('hello')", "calls print()"),
        ("path.read_text()", "calls .read_text()"),
    ],
)
def test_io_is_found(source: str, fault: str) -> None:
    found = [text for node in nodes_at_run_time(ast.parse(source)) for text in impurities(node)]

    assert found == [fault]


@pytest.mark.parametrize(
    "source",
    [
        "from urllib.parse import urlsplit",
        "from pathlib import Path",
        "import numpy as np",
        "from collections import OrderedDict",
        "if TYPE_CHECKING:\n  import asyncio",
    ],
)
def test_what_is_only_a_value_or_a_type_is_pure(source: str) -> None:
    found = [text for node in nodes_at_run_time(ast.parse(source)) for text in impurities(node)]

    assert found == []
