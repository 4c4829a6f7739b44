"""What is said of ports, and of servers that somebody else runs."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from replicore.doctor.case import Place
from replicore.doctor.endpoints import check_endpoints
from replicore.doctor.ports import check_ports
from replicore.findings import Finding
from tests.unit.doctor.cases import case, only, place, problems


def test_a_free_port_is_told(tmp_path: Path) -> None:
    found = list(check_ports(place(tmp_path), case({"gateway.port": 0})))

    assert problems(found) == []
    assert found[0].message == "gateway.port: any free port can be listened on"


@pytest.mark.parametrize(("given", "level"), [(True, "error"), (False, "warning")])
def test_a_port_in_use_names_its_holder(tmp_path: Path, given: bool, level: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = replace(case({"gateway.port": port}), given=given)
        (finding,) = problems(check_ports(place(tmp_path), wanted))

    assert (finding.level, finding.key) == (level, "gateway.port")
    assert f"{port} is in use by " in finding.message
    assert f"(pid {os.getpid()})" in finding.message


def test_few_ports_for_connections_are_a_warning(tmp_path: Path) -> None:
    files = {"proc/sys/net/ipv4/ip_local_port_range": "50000\t51000\n"}
    (finding,) = problems(check_ports(place(tmp_path, files), case({"gateway.port": 0})))

    assert finding.message.startswith("only 1001 ports are for outgoing connections")


def remote(tmp_path: Path, port: int) -> Finding:
    endpoints = [f"http://127.0.0.1:{port}"]
    keys = {"engine.kind": "remote", "engine.remote.endpoints": endpoints}
    return only(check_endpoints(place(tmp_path), case(keys)), "endpoints")


def test_an_endpoint_that_answers_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        finding = remote(tmp_path, server.getsockname()[1])

    assert finding.message.endswith("accepts connections")


def test_an_endpoint_that_nobody_listens_on_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        finding = remote(tmp_path, unused.getsockname()[1])

    assert finding.message.endswith("cannot be reached: Connection refused")


def test_other_engines_have_no_endpoints_to_ask(tmp_path: Path) -> None:
    here: Place = place(tmp_path)

    assert list(check_endpoints(here, case())) == []
