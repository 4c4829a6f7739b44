"""What the three generations of vLLM on Neuron differ in. Pure.

===========  ==========================================================  =====================
``fork``     AWS's fork of vLLM 0.7 to 0.9, models of NxD Inference      inf2, trn1, trn2
``nxdi``     the plugin ``vllm-neuron`` 0.2 to 0.5 on vLLM 0.11 to 0.16  inf2, trn1, trn2
``native``   the plugin ``vllm-neuron`` from 0.21, models of its own     trn2, trn3
===========  ==========================================================  =====================

Source: SDK release notes, vllm-neuron/docs/getting-started; the plugin's ``platform.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from replicore.engines.engine import EngineTraits, ReplicaPlan
from replicore.spec.tables import NeuronSpec

GenerationName = Literal["fork", "nxdi", "native"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation.

    Attributes:
        platforms: Chips that it runs on, as AWS names them.
        compiles_ahead: Whether a compiled model is loaded, which ``inference_demo`` makes;
            otherwise a replica compiles when it starts, and keeps the parts in a cache.
        options: What it is told beyond vLLM's own options, given those of ``engine.args``.
        environment: Its variables beyond those of every vLLM.
    """

    name: GenerationName
    platforms: frozenset[str]
    traits: EngineTraits
    compiles_ahead: bool
    options: Callable[[NeuronSpec, Mapping[str, str]], tuple[str, ...]]
    environment: Callable[[ReplicaPlan, NeuronSpec], dict[str, str]]
