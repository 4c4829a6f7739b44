"""What an engine is to the rest of replicore: how to start it, and how to know that it serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from replicore.cores import CoreRange
from replicore.engines.command import Command
from replicore.engines.recipe import Recipe
from replicore.hardware.machine import Machine
from replicore.models.shape import Model, ModelShape

PORTS_PER_REPLICA = 64


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
        replicas: Of the whole deployment, for what they share (host CPUs, a device's memory).
        folder: The replica's own folder for what its engine writes while it runs; None where
            nothing is to be written, as for a plan that is only printed.
        first_port: First of ``PORTS_PER_REPLICA`` ports for the engine's own processes to find each
            other; no other replica is given them. 0 leaves the choice to the engine.
        artefact: Folder of what ``replicore compile`` made for it; None where there is none.
    """

    index: int
    cores: CoreRange
    batch_size: int
    max_model_len: int
    model: Model
    host: str
    port: int
    replicas: int = 1
    folder: Path | None = None
    first_port: int = 0
    artefact: Path | None = None

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
        reuse_port: Its server can share its port with the socket that reserves it (SO_REUSEPORT);
            see ``deploy/ports.py`` for what is done otherwise. Only of engines that are started.
    """

    prompt_progress: bool = False
    prefix_cache: bool = False
    token_ids: bool = False
    text_continuation: bool = False
    forgets_penalties: bool = False
    reuse_port: bool = True


class Engine(Protocol):
    """A program that serves one replica. Implementations are built from the spec's ``[engine]``.

    Attributes:
        starts_together: Replicas that may load at the same time; None for all of them.
    """

    kind: str
    simulated: bool
    traits: EngineTraits
    starts_together: int | None

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

    def recipe(self, replica: ReplicaPlan, machine: Machine) -> Recipe | None:
        """Return what ``replicore compile`` makes for replicas such as this one; None for nothing.

        All replicas of a deployment have equal recipes: it does not depend on which cores they
        run on.

        Raises:
            ConfigError: The engine cannot be asked what it needs.
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
