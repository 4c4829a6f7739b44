"""What an engine is to the rest of replicore: how to start it, and how to know that it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from replicore.cores import CoreRange
from replicore.hardware.machine import Machine
from replicore.models.shape import Model, ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPlan:
    """One replica as planned: all that its engine needs to know.

    Attributes:
        index: 0-based; the replica's name is ``r<index>``.
        cores: The replica's own range, disjoint from every other replica's; ``len(cores)`` is tp.
        batch_size: Slots: sequences that the engine works on at the same time.
        max_model_len: Tokens per slot, prompt plus output.
        host: Loopback address that the engine listens on.
        port: Its TCP port, reserved by the supervisor (see ``deploy/ports.py``).
    """

    index: int
    cores: CoreRange
    batch_size: int
    max_model_len: int
    model: Model
    host: str
    port: int

    @property
    def name(self) -> str:
        return f"r{self.index}"

    @property
    def tp(self) -> int:
        return len(self.cores)

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start.

    Attributes:
        argv: Program and arguments.
        env: Variables set on top of the inherited environment.
        unset: Inherited variables taken away.
        affinity: CPUs that the process and all its threads are pinned to; None inherits.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    affinity: CoreRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTraits:
    """What the gateway must know of an engine's HTTP behaviour.

    Attributes:
        prompt_progress: ``"return_progress": true`` makes the engine report prefill progress on a
            stream. llama.cpp notices a client that left only when it writes, so without these
            events an abandoned prompt is worked through to its end.
        prefix_cache: The engine reuses the KV cache of a prompt's beginning.
        token_ids: ``"return_token_ids": true`` makes it name the ids of prompt and output on a
            stream, and ``/v1/completions`` takes a prompt of ids, so that a stream can be continued
            from exactly the tokens already sent.
        text_continuation: ``/apply-template`` and ``/tokenize`` are llama.cpp's, so that a stream
            can be continued from the text already sent.
        forgets_penalties: Presence and frequency penalties count tokens of the output only, so
            they start anew where an output becomes part of a prompt.
    """

    prompt_progress: bool = False
    prefix_cache: bool = False
    token_ids: bool = False
    text_continuation: bool = False
    forgets_penalties: bool = False


class Engine(Protocol):
    """A program that serves one replica. Implementations are built from the spec's ``[engine]``."""

    kind: str
    simulated: bool
    traits: EngineTraits

    def check(self) -> None:
        """Validate ``engine.args`` and what the engine needs installed, before anything starts.

        Raises:
            ConfigError: With the nearest valid name for an unknown option.
        """
        ...

    def detect(self) -> Machine:
        """Return the machine whose cores this engine runs on."""
        ...

    def legal_tp(self, machine: Machine, shape: ModelShape) -> tuple[int, ...]:
        """Return the tensor-parallel degrees that machine, model and engine allow, ascending.

        Raises:
            ConfigError: The engine cannot serve this model at all.
        """
        ...

    def memory_bytes(
        self, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
    ) -> int:
        """Return what one replica needs in all, in bytes: weights, KV cache and workspace.

        Raises:
            InfeasiblePlan: The engine has no such replica, whatever the memory.
        """
        ...

    def command(self, replica: ReplicaPlan) -> Command:
        """Return the process that serves ``replica``."""
        ...

    async def check_ready(self, replica: ReplicaPlan) -> None:
        """Return once the replica is ready: health, one real token, and the planned limits.

        One attempt, no waiting: the supervisor calls it again.

        Raises:
            UpstreamError: Not ready yet; ask again.
            ReplicaStartError: It serves, but another model or other limits than planned.
        """
        ...
