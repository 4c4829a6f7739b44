"""Environment variables that would part replicas from what was planned for them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from replicore.findings import Finding
from replicore.wording import quoted

if TYPE_CHECKING:
    from replicore.spec import Spec

_KINDS = ("vllm", "neuron")


@dataclass(frozen=True, slots=True)
class _Rule:
    """Why a variable must not be in ``engine.env``.

    Attributes:
        instead: The key that does what was meant; empty where replicore does it by itself.
        of_several: Whether it is wrong for more than one replica only.
    """

    fault: str
    instead: str = ""
    of_several: bool = False


_CORES = _Rule("is one value for all replicas, which would be given the same cores", "layout.cores")
_RANKS = _Rule("makes an engine wait for ranks that nobody starts")
_PORTS = _Rule("is one value for all replicas, which would listen on it", of_several=True)

_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "NEURON_RT_VISIBLE_CORES": _CORES,
        "NEURON_VISIBLE_DEVICES": _CORES,
        "CUDA_VISIBLE_DEVICES": _CORES,
        "VLLM_CPU_OMP_THREADS_BIND": _CORES,
        "NEURON_RT_NUM_CORES": _Rule(
            "lets the runtime pick cores, and replicas that start together pick the same ones",
            "layout.cores",
        ),
        "WORLD_SIZE": _RANKS,
        "RANK": _RANKS,
        "LOCAL_RANK": _RANKS,
        "LOCAL_WORLD_SIZE": _RANKS,
        "MASTER_PORT": _PORTS,
        "VLLM_PORT": _PORTS,
        "VLLM_DP_MASTER_PORT": _PORTS,
        "VLLM_NIXL_SIDE_CHANNEL_PORT": _PORTS,
        "PROMETHEUS_MULTIPROC_DIR": _Rule("mixes the metrics of all replicas", of_several=True),
        "BASE_COMPILE_WORK_DIR": _Rule(
            "is one folder for all compiles, and each begins by deleting it"
        ),
        "NEURON_COMPILED_ARTIFACTS": _Rule(
            "makes the engine load a folder that was not compared with the spec",
            "engine.neuron.artefacts",
        ),
    }
)
_LNC = ("NEURON_LOGICAL_NC_CONFIG", "NEURON_RT_VIRTUAL_CORE_SIZE")


def lint_variables(spec: Spec) -> Iterator[Finding]:
    """Tell which variables of ``engine.env`` contradict what replicore sets for each replica."""
    if spec.engine.kind not in _KINDS:
        return
    for name, value in spec.engine.env.items():
        rule = _RULES.get(name)
        if rule is not None and value and not (rule.of_several and spec.layout.replicas == 1):
            yield _error(name, value, rule)
        elif name in _LNC and value != str(spec.engine.neuron.lnc):
            planned = spec.engine.neuron.lnc or "not set"
            fault = f"is another LNC than engine.neuron.lnc, {planned}, compiles for"
            yield _error(name, value, _Rule(fault, f"engine.neuron.lnc = {value}"))


def _error(name: str, value: str, rule: _Rule) -> Finding:
    instead = f"take it out, and use {rule.instead}" if rule.instead else ""
    return Finding(
        level="error",
        check="variables",
        message=f"engine.env.{name}: {quoted(value)} {rule.fault}",
        fix=instead or "take it out; replicore sets it",
        key=f"engine.env.{name}",
    )
