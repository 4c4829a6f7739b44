"""Static batches: a prompt has a step of its own, and nobody decodes meanwhile. Pure."""

from __future__ import annotations

from replicore.planner.simulate.stepped import Stepped
from replicore.planner.simulate.stretch import Stretch, decode_stretch


class Static(Stepped):
    """As the compiled models of Neuron: prompts first, as long as one waits and a slot is free."""

    def _begin(self, at: float) -> None:
        if self._waiting and len(self._running) < self.model.slots:
            self._prefill(at)
            return
        self._decodes = True
        decoding = self._decoding
        if not decoding.count:
            self.stretch = None
            return
        self.stretch = decode_stretch(
            self.model.steps, at, decoding.count, decoding.context, decoding.steps_to_end()
        )

    def _prefill(self, at: float) -> None:
        job = self._waiting.popleft()
        self._admit(job, at)
        self._ending = [job]
        self._decodes = False
        self.stretch = Stretch(at, self.model.steps.prefill(self._prefilling.pop(job), 0))
