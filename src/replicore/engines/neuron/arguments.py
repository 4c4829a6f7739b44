"""``engine.args`` and ``engine.neuron.config`` of a replica on Neuron. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from replicore.engines.vllm.options import parse_options
from replicore.errors import ConfigError

# What replicore decides beyond vLLM's own options, and the spec's key for it
OWNED: Mapping[str, str] = MappingProxyType(
    {
        "--additional-config": "engine.neuron.config",
        "--device": "engine.kind",
        "--dtype": "engine.neuron.dtype",
        "--override-neuron-config": "engine.neuron.config",
    }
)


def parse_arguments(args: Sequence[str]) -> dict[str, str]:
    """Return each option's name and its last value; see :func:`parse_options`.

    Raises:
        ConfigError: The first word is no option, or an option is replicore's own to set.
    """
    for word in args:
        name = word.partition("=")[0].replace("_", "-")
        if name in OWNED:
            raise ConfigError(
                f"engine.args: {name} is set by replicore from {OWNED[name]}; use that key"
            )
    return parse_options(args)


def check_config(config: Mapping[str, object]) -> None:
    """Check that ``engine.neuron.config`` has the keys themselves.

    vLLM ignores a table in another table without a word.

    Raises:
        ConfigError: They are in a table of their own.
    """
    for name in ("neuron_config", "override_neuron_config", "override-neuron-config"):
        if name in config:
            raise ConfigError(
                f"engine.neuron.config.{name}: replicore writes this table; "
                "put its keys into engine.neuron.config itself"
            )
