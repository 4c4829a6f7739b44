"""Why a tensor parallel degree is not possible, by the value that it breaks, and what works. Pure.

Which degrees are legal is the engine's to say, see ``Engine.legal_tp``; this finds the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from replicore.engines.vllm.split import split_problems
from replicore.hardware.machine import Machine
from replicore.models.shape import ModelShape

# Beyond so many cores only degrees that somebody would ask for are looked at.
_FEW = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Which degrees of a model and an engine on a machine are possible.

    Attributes:
        legal: Degrees in cores that the engine takes, ascending.
        rank_cores: Cores of one rank; None where all cores of a replica are one.
        on_vllm: Whether the engine is vLLM, whose reasons are known one by one.
    """

    machine: Machine
    shape: ModelShape
    legal: Sequence[int]
    rank_cores: int | None = 1
    on_vllm: bool = False

    def refusal(self, tp: int) -> str:
        """Return why ``tp`` is not possible, and the nearest that are; empty where it is."""
        return "" if tp in self.legal else f"{next(self._reasons(tp))}; {self._nearest(tp)}"

    def worth_a_look(self) -> list[int]:
        """Return the degrees to tell about, ascending: legal ones, and powers of two."""
        cores = len(self.machine.cores)
        powers = {1 << power for power in range(cores.bit_length())}
        usual = powers | {3 * power for power in powers} | {cores // n for n in range(1, 5)}
        legal = {tp for tp in self.legal if cores <= _FEW or len(self.legal) <= _FEW or tp in usual}
        return sorted(legal | powers)

    def _reasons(self, tp: int) -> Iterator[str]:
        machine, ranks = self.machine, self.rank_cores or tp
        if tp > len(machine.cores):
            yield f"{tp} is more than the {len(machine.cores)} cores of {machine.name}"
        if machine.legal_tp is not None and tp not in machine.legal_tp:
            unverified = " without AWS's word for it" if tp in machine.unverified_tp else ""
            yield f"{machine.name} has no replicas of {tp} cores{unverified}"
        if tp % ranks:
            yield f"{tp} is no multiple of the {ranks} cores of a rank"
        if self.on_vllm:
            yield from split_problems(self.shape, max(1, tp // ranks))
        if self.shape.heads % (tp // ranks or 1):
            yield f"num_attention_heads = {self.shape.heads} is not divisible by tp = {tp}"
        yield f"the engine does not split this model over {tp} cores"

    def _nearest(self, tp: int) -> str:
        below = max((each for each in self.legal if each < tp), default=None)
        above = min((each for each in self.legal if each > tp), default=None)
        near = [str(each) for each in (below, above) if each is not None]
        return f"the nearest that works: {' and '.join(near)}" if near else "no other works either"
