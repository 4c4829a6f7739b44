"""Variables of this shell that engines inherit, though no spec says so."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.doctor.case import Case, Place
from replicore.doctor.reports import ok, warning
from replicore.engines.neuron.runtime_env import LEAKED as NEURON_LEAKED
from replicore.engines.vllm.launch import LEAKED as VLLM_LEAKED
from replicore.findings import Finding

_SCRUBBED = {*VLLM_LEAKED, *NEURON_LEAKED}

# Families of variables that change what an engine does.
_ENGINES = ("VLLM_", "NEURON_", "NCCL_", "TORCH_", "PYTORCH_")

# What is wrong with a variable, and what to do.
_RULES = {
    "LD_LIBRARY_PATH": (
        "goes before the libraries that the engine's own environment brings",
        "unset it; `engine.env` sets it for the engine alone",
    ),
    "PYTHONPATH": (
        "puts packages of another environment before those of engine.python",
        "unset it",
    ),
    "PYTHONHOME": ("makes engine.python look for its library elsewhere", "unset it"),
}
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


def check_variables(place: Place, case: Case) -> Iterator[Finding]:
    """Warn of what would make a deployment another one under systemd, or in another shell."""
    environ = {name: value for name, value in place.environ.items() if value}
    for name, (fault, fix) in _RULES.items():
        if name in environ:
            yield warning("environment", f"{name} is set, and {fault}", fix)
    inherited = sorted(name for name in environ if _is_inherited(name))
    if inherited:
        yield warning(
            "environment",
            f"{', '.join(inherited)}: set in this shell, inherited by engines, and in no spec",
            "put them into `engine.env`, or unset them",
        )
    yield from _proxy(place)
    scrubbed = sorted(_SCRUBBED & environ.keys())
    if scrubbed:
        yield ok("environment", f"{', '.join(scrubbed)}: set here, and taken away from engines")
    if not inherited and not _RULES.keys() & environ.keys():
        yield ok("environment", "no variable here changes what engines do")


def _is_inherited(name: str) -> bool:
    return name.startswith(_ENGINES) and name not in _SCRUBBED


def _proxy(place: Place) -> Iterator[Finding]:
    proxies = [name for name in _PROXIES if place.environ.get(name)]
    exempt = place.environ.get("no_proxy") or place.environ.get("NO_PROXY") or ""
    if proxies and "127.0.0.1" not in exempt and exempt != "*":
        yield warning(
            "environment",
            f"{proxies[0]} is set and no_proxy does not name 127.0.0.1, so clients on this machine "
            "ask the proxy for the gateway",
            "`export no_proxy=localhost,127.0.0.1,::1`",
        )
