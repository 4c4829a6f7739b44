"""Which vLLM for Neuron an environment has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from replicore.engines.interpreter import NO_VARIABLES, ask_interpreter
from replicore.engines.neuron.fork import FORK
from replicore.engines.neuron.generation import Generation, GenerationName
from replicore.engines.neuron.native import NATIVE
from replicore.engines.neuron.nxdi import NXDI

GENERATIONS: Mapping[GenerationName, Generation] = MappingProxyType(
    {"fork": FORK, "nxdi": NXDI, "native": NATIVE}
)

# The first plugin that does without NxD Inference
_NATIVE_FROM = (0, 21)

PACKAGES = (
    "vllm",
    "vllm-neuron",
    "neuronx-distributed-inference",
    "neuronx-distributed",
    "neuronx-cc",
    "torch-neuronx",
    "libtorch-neuronx-lite",
    "nki",
)

# The fork has a file for Neuron in vLLM itself. Upstream has had one too, up to 0.9, from before
# the fork: that one works with NxD Inference as well.
_PROGRAM = f"""
import importlib.metadata, importlib.util, json, os, sys

def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

vllm = importlib.util.find_spec("vllm")
folders = list(vllm.submodule_search_locations or []) if vllm else []
print(json.dumps({{
    "python": "%d.%d" % sys.version_info[:2],
    "versions": {{name: version(name) for name in {PACKAGES!r}}},
    "platform_file": any(os.path.exists(f + "/platforms/neuron.py") for f in folders),
}}))
"""


class _Answer(msgspec.Struct):
    python: str
    versions: dict[str, str | None]
    platform_file: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What an environment has.

    Attributes:
        python: Such as ``3.10``.
        versions: Of the packages that serve and compile models, by name.
        generation: None where it has no vLLM for Neuron.
    """

    python: str
    versions: Mapping[str, str]
    generation: Generation | None


def installed_in(python: str, env: Mapping[str, str] = NO_VARIABLES) -> Installed:
    """Ask an environment's interpreter, which imports nothing for that.

    Args:
        env: Variables on top of this process's own, as the engine has them.

    Raises:
        ConfigError: It cannot run.
    """
    answer = ask_interpreter(python, _PROGRAM, _Answer, env)
    versions = {name: version for name, version in answer.versions.items() if version is not None}
    return Installed(
        python=answer.python,
        versions=versions,
        generation=generation_of(versions, has_platform_file=answer.platform_file),
    )


def generation_of(versions: Mapping[str, str], *, has_platform_file: bool) -> Generation | None:
    """Return the generation that these packages are."""
    if "vllm" not in versions:
        return None
    plugin = versions.get("vllm-neuron")
    if plugin is not None:
        return NATIVE if release_of(plugin) >= _NATIVE_FROM else NXDI
    return FORK if has_platform_file else None


def release_of(version: str) -> tuple[int, ...]:
    """Return ``(0, 11, 1)`` of ``0.11.1rc2+neuron215``."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in numbers[0].split(".")) if numbers else ()
