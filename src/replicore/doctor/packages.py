"""Which programs would serve: ours, and those of ``engine.python``."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from replicore import __version__
from replicore.doctor.case import Case, Place
from replicore.doctor.reports import ok, warning
from replicore.engines.neuron.installed import installed_in
from replicore.engines.vllm.installation import installation
from replicore.errors import ConfigError
from replicore.findings import Finding


def check_packages(place: Place, case: Case) -> Iterator[Finding]:
    """Tell versions: of replicore, and of the engine that the spec asks for."""
    kernel = os.uname()
    yield ok(
        "replicore",
        f"replicore {__version__}, Python {platform.python_version()}, "
        f"{kernel.sysname} {kernel.release}",
    )
    kind = case.spec.engine.kind
    if kind == "llamacpp" and case.spec.engine.python is None:
        yield _llamacpp()
    elif kind in ("vllm", "neuron"):
        yield from _other(case)


def _llamacpp() -> Finding:
    try:
        return ok("engine", f"llama.cpp: xllamacpp {metadata.version('xllamacpp')}")
    except metadata.PackageNotFoundError:
        text = "xllamacpp is not installed, so llama.cpp cannot be used"
        return warning("engine", text, 'pip install "replicore[local]"')


def _other(case: Case) -> Iterator[Finding]:
    python = str(case.spec.engine.python or sys.executable)
    describe = _vllm if case.spec.engine.kind == "vllm" else _neuron
    try:
        yield ok("engine", f"{describe(python, case.spec.engine.env)}, in {python}")
    except ConfigError:
        return  # the engine's own check says it


def _vllm(python: str, env: Mapping[str, str]) -> str:
    found = installation(python, env)
    torch = f", torch {found.torch}" if found.torch else ""
    return f"vLLM {found.version} for {found.platform}{torch}"


def _neuron(python: str, env: Mapping[str, str]) -> str:
    found = installed_in(python, env)
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return f"Python {found.python} with {versions or 'nothing for Neuron'}"
