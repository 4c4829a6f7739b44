"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from replicore.doctor.accelerators import check_accelerators
from replicore.doctor.artefact import check_artefact
from replicore.doctor.case import Case, Place
from replicore.doctor.cpu import check_cpu, check_memory_left
from replicore.doctor.deployments import check_deployments
from replicore.doctor.disks import check_disks
from replicore.doctor.endpoints import check_endpoints
from replicore.doctor.limits import check_limits
from replicore.doctor.loading import check_loading
from replicore.doctor.logs import check_logs
from replicore.doctor.opening import open_case
from replicore.doctor.packages import check_packages
from replicore.doctor.ports import check_ports
from replicore.doctor.reports import error_of, warning
from replicore.doctor.shared_memory import check_shared_memory
from replicore.doctor.variables import check_variables
from replicore.errors import ReplicoreError
from replicore.findings import Finding, Level
from replicore.lints.lint import errors_first

Check = Callable[[Place, Case], Iterable[Finding]]

# In the order in which what is well is listed.
CHECKS: tuple[Check, ...] = (
    check_packages,
    check_cpu,
    check_accelerators,
    check_memory_left,
    check_loading,
    check_shared_memory,
    check_limits,
    check_ports,
    check_disks,
    check_variables,
    check_endpoints,
    check_artefact,
    check_deployments,
    check_logs,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found.

    Attributes:
        findings: Errors first, then warnings, then what is well.
    """

    findings: tuple[Finding, ...]

    def count(self, level: Level) -> int:
        return sum(finding.level == level for finding in self.findings)


def diagnose(
    place: Place,
    path: Path | None,
    settings: Mapping[str, object],
    *,
    checks: Iterable[Check] = CHECKS,
) -> Diagnosis:
    """Look at a spec and at the machine, or at the machine alone.

    Args:
        path: The spec; None for none.
        settings: Values on top of it, by dotted key.
    """
    case, findings = open_case(place, path, settings)
    # The same refusal may stop several steps.
    by_message = {finding.message: finding for finding in (*findings, *_run(checks, place, case))}
    return Diagnosis(findings=errors_first(by_message.values()))


def _run(checks: Iterable[Check], place: Place, case: Case) -> Iterator[Finding]:
    for check in checks:
        try:
            yield from check(place, case)
        except ReplicoreError as refused:
            yield error_of(_name(check), refused)
        except OSError as refused:
            yield warning(_name(check), f"it could not be looked at: {refused}", "look at it")


def _name(check: Check) -> str:
    return getattr(check, "__name__", "check").removeprefix("check_").replace("_", "-")
