"""Do requests get the sampling that they ask for on the accelerator? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from replicore.findings import Finding

if TYPE_CHECKING:
    from replicore.spec import Spec

_KEY = "engine.neuron.on_device_sampling"
_CONFIG = "on_device_sampling_config"


def lint_sampling(spec: Spec) -> Iterator[Finding]:
    """Warn of sampling that is compiled in, and of a second configuration for it."""
    if spec.engine.kind != "neuron":
        return
    sampling = spec.engine.neuron.on_device_sampling
    if not sampling.do_sample:
        effect = "compiles greedy decoding in, so temperature, top_p and top_k of requests have"
        yield _fixed("do_sample", f"{effect} no effect")
    elif not sampling.dynamic:
        effect = "makes all requests have the compiled model's temperature and top_p, whatever"
        yield _fixed("dynamic", f"{effect} they ask for")
    if _CONFIG in spec.engine.neuron.config:
        yield Finding(
            level="error",
            check="sampling",
            message=f"engine.neuron.config.{_CONFIG} is a second source of {_KEY}: the model is "
            "compiled by one and served by the other",
            fix=f"take it out and set {_KEY}",
            key="engine.neuron.config",
        )


def _fixed(name: str, effect: str) -> Finding:
    return Finding(
        level="warning",
        check="sampling",
        message=f"{_KEY}.{name}: false {effect}",
        fix=f"{_KEY}.{name} = true",
        key=f"{_KEY}.{name}",
    )
