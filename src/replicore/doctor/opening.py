"""From a spec to a case: as far as this machine and this environment let it be deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.deployment import Deployment, Prepared, lay_out, prepare
from replicore.deploy.provision import compiled_fields
from replicore.deploy.state import Claims, DeploymentRecord, Neighbour
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error_of, ok
from replicore.engines.create import create_engine
from replicore.engines.engine import Engine
from replicore.engines.recipe import Value
from replicore.errors import ConfigError, DeploymentError, ReplicoreError
from replicore.findings import Finding
from replicore.gateway.settings import settings_of
from replicore.hardware.neuron.fallback import device_files, product_name
from replicore.lints.lint import lint, lint_spec
from replicore.spec import Spec, load_spec

# Of a deployment that runs the memory is in use already, by itself.
_ENOUGH = 2**60


def open_case(
    place: Place, path: Path | None, settings: Mapping[str, object]
) -> tuple[Case, tuple[Finding, ...]]:
    """Return the case, and what keeps it from being a deployment, or would make it a poor one.

    Args:
        path: The spec; None looks at the machine alone, unless there are settings.
    """
    findings: list[Finding] = []
    case = Case(spec=Spec(), running=_running(place.state, findings))
    try:
        spec = load_spec(path, environ=place.environ, overrides=settings)
    except ConfigError as error:
        return case, (*findings, error_of("spec", error))
    case = replace(case, spec=spec, given=path is not None or bool(settings))
    if case.given:
        case = _examine(place, case, findings)
    return case, tuple(findings)


def _running(state: Path, findings: list[Finding]) -> tuple[Neighbour, ...]:
    if not state.exists():
        return ()
    try:
        with Claims(state) as claims:
            return tuple(claims.running())
    except DeploymentError as error:
        findings.append(error_of("state", error))
        return ()


def _examine(place: Place, case: Case, findings: list[Finding]) -> Case:
    """Return the case with what its spec comes to here."""
    spec = case.spec
    if spec.engine.kind == "remote":
        findings += lint_spec(spec)
        return case
    elsewhere = _planned_elsewhere(place, spec)
    findings += [_only_the_spec(elsewhere)] if elsewhere else _check_gateway(spec)
    engine = None if elsewhere else _checked_engine(spec, findings)
    deployment = _lay_out(place, case, engine, findings)
    findings += lint_spec(spec) if deployment is None else _lint(deployment)
    # What another machine will serve says nothing of this one.
    return case if elsewhere else replace(case, deployment=deployment)


def _planned_elsewhere(place: Place, spec: Spec) -> str:
    """Return key and name of the machine that is planned for; empty where it is this one."""
    engine = spec.engine
    if engine.kind == "neuron" and engine.neuron.instance is not None:
        is_here = product_name(place.root) == engine.neuron.instance and device_files(place.root)
        return "" if is_here else f"engine.neuron.instance: {engine.neuron.instance}"
    if engine.kind == "vllm" and engine.vllm.devices is not None:
        return f"engine.vllm.devices: {engine.vllm.devices}"
    return ""


def _only_the_spec(planned: str) -> Finding:
    return ok(
        "elsewhere",
        f"{planned} is not this machine, so of the deployment the numbers alone were looked at; "
        "the doctor there tells the rest",
    )


def _checked_engine(spec: Spec, findings: list[Finding]) -> Engine | None:
    """Return the engine, which then knows what is installed; None where it cannot be used."""
    try:
        engine = create_engine(spec.engine)
        engine.check()
    except ReplicoreError as error:
        findings.append(error_of("engine", error))
        return None
    return engine


def _check_gateway(spec: Spec) -> Iterator[Finding]:
    """Check the files of keys and certificates, which a plan does without."""
    try:
        settings_of(spec.gateway)
    except ConfigError as error:
        yield error_of("gateway", error)


def _lay_out(
    place: Place, case: Case, engine: Engine | None, findings: list[Finding]
) -> Deployment | None:
    try:
        prepared = prepare(case.spec, outline=True, engine=engine)
        if case.own is not None and case.own.record is not None:
            prepared = _as_it_runs(prepared, case.own.record)
        deployment = lay_out(prepared, taken=_taken(place, case, prepared))
    except ReplicoreError as error:
        findings.append(error_of("layout", error))
        return None
    findings.append(ok("layout", deployment.layout.reason))
    return deployment


def _taken(place: Place, case: Case, prepared: Prepared) -> CoreRange:
    if not case.running:
        return NO_CORES
    with Claims(place.state) as claims:
        taken = claims.taken(prepared.machine.kind)
    own = case.own
    held = own.record.cores if own is not None and own.record is not None else ""
    return taken - CoreRange.parse(held) if held else taken


def _as_it_runs(prepared: Prepared, record: DeploymentRecord) -> Prepared:
    """Return what it is laid out from, with the layout that it has and without what it uses."""
    ranges = [unit.cores for unit in record.units if unit.cores]
    machine = replace(
        prepared.machine, busy=NO_CORES, holders=(), memory_bytes=_ENOUGH, core_memory_bytes=None
    )
    if not ranges:
        return replace(prepared, machine=machine)
    size = {"replicas": len(ranges), "tp": len(CoreRange.parse(ranges[0]))}
    layout = prepared.spec.layout.model_copy(update=size)
    spec = prepared.spec.model_copy(update={"layout": layout})
    return replace(prepared, machine=machine, spec=spec)


def _lint(deployment: Deployment) -> tuple[Finding, ...]:
    return lint(
        deployment.spec,
        shape=deployment.model.shape,
        machine=deployment.machine,
        layout=deployment.layout,
        compiled=_compiled(deployment),
    )


def _compiled(deployment: Deployment) -> Mapping[str, Value] | None:
    try:
        return compiled_fields(deployment)
    except ReplicoreError:
        return None  # the engine cannot be asked, which is a finding of its own
