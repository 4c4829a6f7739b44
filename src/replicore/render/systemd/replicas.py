"""The service of one replica."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from replicore.engines.command import Command
from replicore.engines.engine import ReplicaPlan
from replicore.render.notes import VARIABLES
from replicore.render.service import Service, command_of
from replicore.render.systemd.text import COMMENT, Section, assignment, command_line
from replicore.units import GIB

ACCOUNT = "replicore"

# Beyond what is planned: the page cache of the weights, Python itself.
_HOST_MEMORY_MARGIN = 1.25


def replica_sections(service: Service, index: int) -> dict[str, Section]:
    """Return the unit of a replica; it counts as started once it serves."""
    plan = service.replicas[index]
    rules = service.deployment.spec.supervisor
    return {
        "Unit": [
            ("Description", f"Replica {plan.name} of {service.name} on cores {plan.cores}"),
            ("PartOf", f"{service.unit}.target"),
            ("After", " ".join(["network.target", *_earlier(service, index)])),
            *_requirements(service),
            ("StartLimitIntervalSec", f"{math.ceil(rules.failure_window)}s"),
            ("StartLimitBurst", str(rules.max_failures)),
        ],
        "Service": list(_service(service, plan)),
    }


def process(command: Command) -> Iterator[tuple[str, str]]:
    """Yield the directives that run a command."""
    if command.unset:
        yield "UnsetEnvironment", " ".join(command.unset)
    for name, value in command.env.items():
        if name in VARIABLES:
            yield COMMENT, VARIABLES[name]
        yield "Environment", assignment(name, value)
    if command.affinity is not None:
        yield "CPUAffinity", str(command.affinity)
    yield "ExecStart", command_line(command.argv)


def limits() -> Section:
    """Return limits of everything that loads a model."""
    return [
        ("LimitNOFILE", "65536"),
        (COMMENT, "Accelerators map host memory; a core file would be as large as the model."),
        ("LimitMEMLOCK", "infinity"),
        ("LimitCORE", "0"),
        ("TasksMax", "16384"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "full"),
    ]


def _earlier(service: Service, index: int) -> list[str]:
    """Return what must have been started before: the compile, and replicas that load first."""
    before = [f"{service.unit}-compile.service"] if _is_compiled(service) else []
    ahead = index - service.starts_together
    if ahead < 0 and index > 0 and service.is_warmed_by_a_replica:
        ahead = 0
    if ahead >= 0:
        before.append(f"{service.unit}-{service.replicas[ahead].name}.service")
    return before


def _requirements(service: Service) -> Section:
    return [("Requires", f"{service.unit}-compile.service")] if _is_compiled(service) else []


def _is_compiled(service: Service) -> bool:
    return service.recipe is not None and service.recipe.command is not None


def _service(service: Service, plan: ReplicaPlan) -> Iterator[tuple[str, str]]:
    rules = service.deployment.spec.supervisor
    yield "Type", "exec"
    yield "User", ACCOUNT
    yield "StateDirectory", " ".join(_folders(service, plan))
    yield "WorkingDirectory", str(service.folder)
    own = service.folder / "run" / plan.name
    yield COMMENT, "A start must not read what an earlier one has left."
    yield "ExecStartPre", f"/usr/bin/find {own} -mindepth 1 -delete"
    yield from process(command_of(service.deployment, plan))
    yield COMMENT, "Started is what has generated a token: /health alone is 200 before that."
    yield "ExecStartPost", command_line(["/bin/sh", "-c", _wait_ready(plan)])
    yield "TimeoutStartSec", f"{math.ceil(rules.start_timeout)}s"
    yield "TimeoutStopSec", f"{math.ceil(rules.stop_grace)}s"
    yield (
        COMMENT,
        "SIGTERM goes to the server alone, which ends its workers; what is left is killed.",
    )
    yield "KillMode", "mixed"
    yield "Restart", "always"
    yield "RestartSec", f"{math.ceil(rules.backoff_initial)}s"
    yield from limits()
    if service.deployment.machine.kind == "cpu":
        yield "MemoryMax", f"{math.ceil(service.replica_bytes * _HOST_MEMORY_MARGIN / GIB)}G"


def _folders(service: Service, plan: ReplicaPlan) -> Iterator[str]:
    """Yield what systemd makes below /var/lib and gives to the account."""
    own = f"replicore/{service.name}"
    yield own
    yield f"{own}/run/{plan.name}"
    if service.is_warmed_by_a_replica and service.artefact is not None:
        yield f"{own}/{service.artefact.relative_to(service.folder)}"


def _wait_ready(plan: ReplicaPlan) -> str:
    """Return a script that ends once the replica has generated a token."""
    request = {"model": plan.model.served_name, "prompt": "Hello", "max_tokens": 1}
    body = json.dumps(request).replace("'", "'\\''")
    ask = (
        "curl --fail --silent --output /dev/null --max-time 60 "
        "--header 'content-type: application/json' "
        f"--data '{body}' {plan.endpoint}/v1/completions"
    )
    return f'until {ask}; do kill -0 "$MAINPID" || exit 1; sleep 1; done'
