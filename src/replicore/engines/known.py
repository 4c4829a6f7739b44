"""What engines are known to do that replicore did not start itself, by what they tell."""

from __future__ import annotations

from replicore.engines.engine import EngineTraits
from replicore.openai import ModelCard

LLAMACPP = EngineTraits(prompt_progress=True, prefix_cache=True, text_continuation=True)
VLLM = EngineTraits(token_ids=True, prefix_cache=True, forgets_penalties=True, reuse_port=False)
SIMULATOR = EngineTraits(token_ids=True)


def traits_of(card: ModelCard) -> EngineTraits:
    """Return the traits of the engine that serves this model; of an unknown one nothing is hoped.

    An engine names itself as the owner of what it serves.
    """
    if card.simulated:
        return SIMULATOR
    return {"llamacpp": LLAMACPP, "vllm": VLLM}.get(card.owned_by or "", EngineTraits())
