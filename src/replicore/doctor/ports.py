"""Can the front door, and the engines behind it, have their ports?"""

from __future__ import annotations

from collections.abc import Iterator

from replicore.deploy.frontdoor import open_admin_port, open_front_door
from replicore.deploy.ports import PortBlocks
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import error, error_of, ok, warning
from replicore.errors import ConfigError
from replicore.findings import Finding, Level
from replicore.hardware.kernel_files import read_kernel_file
from replicore.wording import pluralize

# Each request through the gateway has two connections; closed ones keep their port for a minute.
_FEW_PORTS = 8_000


def check_ports(place: Place, case: Case) -> Iterator[Finding]:
    """Try to listen where the gateway will, and to reserve what the engines need."""
    if case.own is not None:
        yield ok("ports", f"gateway.port: in use by {case.own.name} itself, which runs")
    else:
        yield from _front_door(place, case)
    yield from _blocks(case)
    yield from _ephemeral(place)


def _front_door(place: Place, case: Case) -> Iterator[Finding]:
    gateway = case.spec.gateway
    # Without a spec it is only the default port, which `--port` changes.
    level: Level = "error" if case.given else "warning"
    try:
        for opened in open_front_door(gateway.host, gateway.port, place.state):
            opened.close()
        if gateway.admin_port:
            open_admin_port(gateway.admin_port, place.state).close()
    except ConfigError as refused:
        yield error_of("ports", refused, level=level)
        return
    port = f"{gateway.host}:{gateway.port}" if gateway.port else "any free port"
    yield ok("ports", f"gateway.port: {port} can be listened on")


def _blocks(case: Case) -> Iterator[Finding]:
    try:
        PortBlocks(case.replicas).close()
    except OSError as refused:
        yield error(
            "ports",
            f"engines need ports of their own for {pluralize(case.replicas, 'replica')}, and there "
            f"are not {refused}",
            "stop servers that listen there; `ss -ltn` shows them",
        )


def _ephemeral(place: Place) -> Iterator[Finding]:
    text = read_kernel_file(place.root / "proc/sys/net/ipv4/ip_local_port_range") or ""
    first, last = (int(word) for word in text.split()) if text else (0, 65_535)
    if last - first < _FEW_PORTS:
        yield warning(
            "ports",
            f"only {last - first + 1} ports are for outgoing connections "
            f"(net.ipv4.ip_local_port_range {first} {last}), which many clients use up",
            '`sysctl net.ipv4.ip_local_port_range="32768 60999"`',
        )
