"""From the spec's ``[engine]`` to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from replicore.engines.engine import Engine
from replicore.engines.llamacpp import LlamaCpp
from replicore.engines.neuron.engine import Neuron
from replicore.engines.sim.engine import SimEngine
from replicore.engines.vllm.engine import Vllm
from replicore.errors import ConfigError
from replicore.spec import EngineSpec

_ENGINES: Mapping[str, Callable[[EngineSpec], Engine]] = MappingProxyType(
    {"llamacpp": LlamaCpp, "vllm": Vllm, "neuron": Neuron, "sim": SimEngine}
)


def create_engine(spec: EngineSpec) -> Engine:
    """Return the engine that the spec names.

    Raises:
        ConfigError: This version of replicore cannot run that engine.
    """
    engine = _ENGINES.get(spec.kind)
    if engine is not None:
        return engine(spec)
    if spec.kind == "remote":
        raise ConfigError(
            'engine.kind: "remote" engines are run by somebody else, so there is nothing to start',
            hint="replicore gateway --endpoint URL [--endpoint URL ...]",
        )
    raise ConfigError(
        f'engine.kind: "{spec.kind}" cannot be started by this version; these can: '
        + ", ".join(_ENGINES)
    )
