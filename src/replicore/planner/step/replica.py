"""What one replica asks of its cores, in data-sheet seconds. Pure.

All seconds here are lower bounds: bytes over the bandwidth, operations over the peak rate. How much
longer an engine takes is what calibrations say, see ``calibration.py``. Symbols: B sequences in a
decode step, C tokens that each has in the KV cache, S prompt tokens, T ranks, L layers, h hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from replicore.hardware.device import Device
from replicore.models.anatomy import Anatomy
from replicore.planner.step.precision import Precision

# Bytes of an activation.
_ACTIVATION_BYTES = 2

# All-reduces of a layer: after attention's output and after the MLP.
COLLECTIVES_PER_LAYER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticBatch:
    """What was compiled in, where batching is static.

    Attributes:
        batch_size: Sequences of the compiled graph, whether they are there or not.
        max_model_len: Tokens of the KV cache of each, all of which are read.
        prompt_tokens: Compiled length that prompts are padded to, the mean over prompts; None where
            they are not padded.
        together: All sequences of a batch begin and end together, as in AWS's tables; otherwise a
            request takes a slot as soon as one is free, as servers have it.
    """

    batch_size: int
    max_model_len: int
    prompt_tokens: float | None = None
    together: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica: a model on ``tp`` cores of a device.

    Attributes:
        engine: Short name, such as ``vllm``; calibrations are filed under it and the device's.
        rank_cores: Cores of one rank: threads that share its weights and its KV cache. All of the
            replica's in llama.cpp, 1 on accelerators.
        kv_tokens: That its KV cache holds; None where memory sets no limit.
        wait_steps: Steps that a prompt waits for others to be worked through with it:
            ``batch_wait_timeout_iters`` of TensorRT-LLM.
        static: For an engine that serves compiled graphs; None with continuous batching.
    """

    device: Device
    engine: str
    anatomy: Anatomy
    precision: Precision
    tp: int
    rank_cores: int = 1
    kv_tokens: float | None = None
    wait_steps: int = 0
    static: StaticBatch | None = None

    @property
    def ranks(self) -> int:
        """Parts that the weights are in."""
        return self.tp // self.rank_cores


class ReplicaCost:
    """The costs of a replica; what does not depend on the load is worked out once."""

    def __init__(self, replica: Replica) -> None:
        anatomy, device, tp = replica.anatomy, replica.device, replica.tp
        self.layers = anatomy.layers
        self.doublings = log2(tp)
        self._replica = replica
        self._dense_weights_s = None if anatomy.experts is not None else self._weights_s(1)
        kv_token = anatomy.rank_kv_bytes_per_token(replica.ranks, replica.precision.kv_bytes)
        self._kv_token_s = kv_token / (device.bytes_per_s * replica.rank_cores)
        flops = tp * device.flops(replica.precision.compute_bits)
        self._token_s = anatomy.matmul_flops_per_token / flops
        self._head_s = anatomy.head_flops / flops
        # Attention's own products stay in 16 bits.
        self._pair_s = anatomy.attention_flops_per_pair / (tp * device.flops_16)
        sent = COLLECTIVES_PER_LAYER * anatomy.layers * anatomy.hidden * _ACTIVATION_BYTES
        ring = 2 * (replica.ranks - 1) / replica.ranks
        self._transfer_token_s = sent * ring / device.link_bytes_per_s if ring else 0.0

    def weights_s(self, sequences: float) -> float:
        """Return the seconds to read the weights of a step; experts only those that are used."""
        if self._dense_weights_s is not None:
            return self._dense_weights_s
        return self._weights_s(sequences)

    def _weights_s(self, sequences: float) -> float:
        replica = self._replica
        weight_bytes = replica.precision.weight_bytes
        read = replica.anatomy.bytes_read(sequences, replica.ranks, weight_bytes)
        return read / (replica.device.bytes_per_s * replica.rank_cores)

    def kv_s(self, sequences: float, context: float) -> float:
        """Return the seconds to read what sequences of ``context`` tokens attend to."""
        return sequences * self._replica.anatomy.attended_tokens(context) * self._kv_token_s

    def compute_s(self, tokens: float) -> float:
        """Return the seconds of the matrix products of ``tokens``."""
        return tokens * self._token_s

    def prompt_s(self, tokens: float) -> float:
        """Return the seconds of a prompt's arithmetic: its products, and causal attention.

        The output layer is worked out for its last token only.
        """
        products = tokens * (self._token_s - self._head_s) + self._head_s
        return products + tokens * tokens / 2 * self._pair_s

    def transfer_s(self, tokens: float) -> float:
        """Return the seconds to send the activations of ``tokens`` in a ring's all-reduces."""
        return tokens * self._transfer_token_s
