"""What a model is made of: mixtures of experts, latent attention, formats of weights. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """The mixture-of-experts layers; all others have one MLP.

    Attributes:
        layers: How many there are.
        count: Routed experts in one of them.
        per_token: Routed experts that a token goes through.
        intermediate: Width of one expert.
        shared_intermediate: Width of what every token goes through besides; 0 for nothing.
        router_bias: The router has a value for each expert besides its matrix.
        biases: The matrices of an expert have biases.
        shared_gate: The shared expert is weighed by a gate of ``hidden`` values (Qwen).
    """

    layers: int
    count: int
    per_token: int
    intermediate: int
    shared_intermediate: int = 0
    router_bias: bool = False
    biases: bool = False
    shared_gate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek): all heads share one cached vector.

    Attributes:
        query_rank: Width that queries are compressed to; 0 where they are not.
        kv_rank: Width that keys and values are compressed to, and cached in.
        rope_dim: Width of the one key that carries the position, cached too.
        nope_dim: Width of a head's key without position.
        value_dim: Width of a head's value.
        index_heads: Heads of the indexer that picks which tokens are attended to (DeepSeek Sparse
            Attention); 0 for none.
        index_dim: Width of one of them.
    """

    query_rank: int
    kv_rank: int
    rope_dim: int
    nope_dim: int
    value_dim: int
    index_heads: int = 0
    index_dim: int = 0

    @property
    def cached_values(self) -> int:
        """Values that one layer caches per token: kv_rank + rope_dim (+ index_dim)."""
        return self.kv_rank + self.rope_dim + self.index_dim


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Layers that look back at most so far; the rest of them sees all.

    Attributes:
        tokens: How far they look, the chunk's length for Llama 4.
        layers: How many layers look no further.
    """

    tokens: int
    layers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearAttention:
    """Layers that keep a state of constant size instead of keys and values.

    Attributes:
        layers: How many there are.
        parameters: Of one such layer's mixer, which takes attention's place.
        state_values: Values of the state that one sequence has in one layer.
    """

    layers: int
    parameters: int
    state_values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFormat:
    """How many bytes the parameters take.

    Attributes:
        name: For people: ``bf16``, ``fp8``, ``nvfp4``, ``gguf``.
        plain: Bytes per parameter of all parts that ``quantised`` does not name.
        quantised: Part's name -> bytes per parameter, scales included.
        group: Elements along a matrix's rows that share a scale, which a split must not cut; 1
            where any split will do.
    """

    name: str = "bf16"
    plain: float = 2.0
    quantised: tuple[tuple[str, float], ...] = ()
    group: int = 1

    def bytes_of(self, part: str) -> float:
        """Return the bytes of one parameter of a part."""
        return dict(self.quantised).get(part, self.plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Parameters that are split, read and used in the same way.

    Attributes:
        parameters: In all layers.
        ways: Ranks that it can be split over; more keep copies. None: any number.
        per_token: Of ``of`` equal pieces, so many are used by one token.
        lookup: Only the rows of the tokens at hand are read, and nothing is multiplied.
    """

    name: str
    parameters: int
    ways: int | None = None
    per_token: int = 1
    of: int = 1
    lookup: bool = False

    @property
    def active(self) -> int:
        """Parameters that one token uses."""
        return self.parameters * self.per_token // self.of

    def share(self, tp: int) -> float:
        """Return which share of the part one of ``tp`` ranks keeps."""
        return 1 / tp if self.ways is None else -(-self.ways // tp) / self.ways

    def read_share(self, batch: float) -> float:
        """Return which share of the part a step of ``batch`` tokens reads.

        1 - (1 - per_token / of)^batch, the expected share of pieces that any token uses.
        """
        unused: float = (1.0 - self.per_token / self.of) ** batch
        return 1.0 - unused
