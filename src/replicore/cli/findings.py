"""What lints find, before anything starts: errors refuse, warnings are printed."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from replicore.deploy.deployment import Deployment
from replicore.deploy.provision import compiled_fields
from replicore.errors import ConfigError
from replicore.findings import Finding
from replicore.lints.lint import lint


def heed(deployment: Deployment) -> None:
    """Look at a deployment before it starts; warnings go to stderr.

    Raises:
        ConfigError: It cannot work; every reason is named.
    """
    findings = lint(
        deployment.spec,
        shape=deployment.model.shape,
        machine=deployment.machine,
        layout=deployment.layout,
        compiled=compiled_fields(deployment),
    )
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise refusal(errors)
    for finding in findings:
        if finding.level == "warning":
            typer.echo(f"warning: {described(finding)}", err=True)


def refusal(errors: Sequence[Finding]) -> ConfigError:
    """Return one error for all of them; there is at least one."""
    if len(errors) == 1:
        return ConfigError(errors[0].message, hint=errors[0].fix or None)
    lines = [f"  - {described(finding)}" for finding in errors]
    return ConfigError("\n".join([f"{len(errors)} things cannot work:", *lines]))


def described(finding: Finding) -> str:
    """Return a finding and what to change, on one line."""
    return f"{finding.message}; {finding.fix}" if finding.fix else finding.message
