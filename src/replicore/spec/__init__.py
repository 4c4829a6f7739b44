"""The spec: one TOML file that plan, up and bench go by."""

from replicore.spec.load import load_spec
from replicore.spec.tables import (
    EngineSpec,
    GatewaySpec,
    LayoutSpec,
    Lengths,
    ModelSpec,
    NeuronSpec,
    OnDeviceSampling,
    RemoteSpec,
    SimSpec,
    SloSpec,
    Spec,
    SupervisorSpec,
    VllmSpec,
    WorkloadSpec,
)

__all__ = [
    "EngineSpec",
    "GatewaySpec",
    "LayoutSpec",
    "Lengths",
    "ModelSpec",
    "NeuronSpec",
    "OnDeviceSampling",
    "RemoteSpec",
    "SimSpec",
    "SloSpec",
    "Spec",
    "SupervisorSpec",
    "VllmSpec",
    "WorkloadSpec",
    "load_spec",
]
