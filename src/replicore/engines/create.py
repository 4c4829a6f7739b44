"""From the spec's ``[engine]`` to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from replicore.engines.engine import Engine
from replicore.errors import ConfigError
from replicore.spec import EngineSpec

# Only the one that is asked for is imported.
_ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "llamacpp": "replicore.engines.llamacpp:LlamaCpp",
        "vllm": "replicore.engines.vllm.engine:Vllm",
        "neuron": "replicore.engines.neuron.engine:Neuron",
        "sim": "replicore.engines.sim.engine:SimEngine",
    }
)


def create_engine(spec: EngineSpec) -> Engine:
    """Return the engine that the spec names.

    Raises:
        ConfigError: This version of replicore cannot run that engine.
    """
    if spec.kind in _ENGINES:
        module, _, name = _ENGINES[spec.kind].partition(":")
        engine: Callable[[EngineSpec], Engine] = getattr(import_module(module), name)
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
