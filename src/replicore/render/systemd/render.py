"""systemd units for one machine: a service for each replica, one for the front door, a target."""

from __future__ import annotations

from pathlib import Path

from replicore.deploy.deployment import Deployment
from replicore.render.file import RenderedFile
from replicore.render.service import Service, plan_service
from replicore.render.systemd.compiling import compile_section
from replicore.render.systemd.replicas import ACCOUNT, replica_sections
from replicore.render.systemd.text import Section, command_line, unit_text

STATE = Path("/var/lib/replicore")


def render_systemd(deployment: Deployment) -> tuple[RenderedFile, ...]:
    """Return the units, the target that starts all of them first.

    Raises:
        ConfigError: The deployment cannot be rendered, or its engine cannot be asked.
    """
    service = plan_service(deployment, folder=STATE / deployment.name)
    units = {f"{service.unit}.target": _target(service)}
    compiling = compile_section(service)
    if compiling is not None:
        units[f"{service.unit}-compile.service"] = compiling
    for i, plan in enumerate(service.replicas):
        units[f"{service.unit}-{plan.name}.service"] = replica_sections(service, i)
    units[f"{service.unit}-gateway.service"] = _gateway(service)
    files = [
        RenderedFile(name=unit, text=unit_text(_head(service), **sections))
        for unit, sections in units.items()
    ]
    return (*files, _accounts())


def _head(service: Service) -> list[str]:
    return [
        f"Rendered by replicore from the spec of {service.name}: change the spec and render again.",
        "To install: cp sysusers.conf /etc/sysusers.d/replicore.conf && systemd-sysusers, then",
        f"cp {service.unit}* /etc/systemd/system && systemctl daemon-reload, then",
        f"systemctl enable --now {service.unit}.target, which starts all of them.",
    ]


def _accounts() -> RenderedFile:
    line = f'u {ACCOUNT} - "replicore" {STATE}'
    return RenderedFile(name="sysusers.conf", text=f"{line}\n")


def _target(service: Service) -> dict[str, Section]:
    units = [f"{service.unit}-{plan.name}.service" for plan in service.replicas]
    return {
        "Unit": [
            ("Description", f"{service.name}: {service.deployment.model.served_name}"),
            ("Wants", " ".join([*units, f"{service.unit}-gateway.service"])),
        ],
        "Install": [("WantedBy", "multi-user.target")],
    }


def _gateway(service: Service) -> dict[str, Section]:
    # env finds it in /usr/local/bin and /usr/bin, where `pipx install --global` puts it.
    argv = ["/usr/bin/env", "replicore", "gateway", *service.gateway_arguments()]
    state = f"replicore/{service.name}/gateway"
    return {
        "Unit": [
            ("Description", f"Front door of {service.name}, port {service.gateway_port}"),
            ("PartOf", f"{service.unit}.target"),
            ("After", "network.target"),
        ],
        "Service": [
            ("Type", "exec"),
            ("User", ACCOUNT),
            ("StateDirectory", state),
            ("WorkingDirectory", str(STATE.parent / state)),
            ("Environment", f"REPLICORE_STATE_DIR={STATE.parent / state}"),
            ("ExecStart", command_line(argv)),
            ("TimeoutStopSec", "90s"),
            ("Restart", "always"),
            ("RestartSec", "1s"),
            ("LimitNOFILE", "65536"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "full"),
            ("PrivateTmp", "yes"),
        ],
    }
