"""What a model's weights, KV cache and work follow from. Pure.

A model is a list of parts, each with its own rule of how it is split over ranks and how much of it
a step reads. Every total is a sum over that list. Symbols: L layers, h hidden, n_q and n_kv heads,
d head_dim, f intermediate, V vocab, E experts, k experts per token, T ranks, B sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from replicore.models.parts import (
    Experts,
    LatentAttention,
    LinearAttention,
    Part,
    WeightFormat,
    Window,
)

# Parts whose matrices quantised files and engines quantise; embedding, head, norms and the router
# stay as they are.
MATRICES = ("attention", "kv", "latent", "linear", "mlp", "experts", "shared")

BF16 = WeightFormat()


@dataclass(frozen=True, slots=True, kw_only=True)
class RankParameters:
    """Parameters of one rank.

    Attributes:
        sharded: Its part of what the ranks divide among them.
        replicated: What every rank keeps whole, or shares with fewer ranks than there are.
    """

    sharded: int
    replicated: int

    @property
    def all(self) -> int:
        return self.sharded + self.replicated


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """All sizes that parameters, KV cache and FLOPs follow from.

    Attributes:
        intermediate: Width of the MLP of layers without experts.
        mlp_matrices: Matrices of an MLP: 3 with a gate (SwiGLU), 2 without.
        tied: The output layer is the embedding.
        qkv_bias: Queries, keys and values have biases.
        output_bias: So has attention's output.
        mlp_bias: So have the MLP's matrices.
        head_bias: So has the output layer.
        qk_norm: Parameters of the norms of queries and keys, of one layer.
        sinks: Each head has a value that its softmax counts besides (gpt-oss).
        query_gate: Queries are twice as wide: a gate for each head's output (Qwen3-Next).
        norm_vectors: Vectors of ``hidden`` that a layer's norms have; a LayerNorm has two.
        final_norm_vectors: Those of the norms that belong to no layer.
        positions: Learned positions; 0 for computed ones.
        other: Parameters that no text step reads: a vision tower. Engines load them.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    intermediate: int
    mlp_matrices: int = 3
    tied: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    qk_norm: int = 0
    sinks: bool = False
    query_gate: bool = False
    norm_vectors: int = 2
    final_norm_vectors: int = 1
    positions: int = 0
    other: int = 0
    experts: Experts | None = None
    latent: LatentAttention | None = None
    window: Window | None = None
    linear: LinearAttention | None = None
    weights: WeightFormat = BF16

    @property
    def parts(self) -> tuple[Part, ...]:
        """The model's parts, those without parameters left out."""
        return _parts(self)

    @property
    def parameters(self) -> int:
        """All parameters; a tied output layer counts once."""
        return sum(part.parameters for part in self.parts)

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses: k of E experts, the embedding as a whole."""
        return sum(part.active for part in self.parts)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all parameters in the format that they are stored in."""
        return round(sum(part.parameters * self.weights.bytes_of(part.name) for part in self.parts))

    @property
    def attention_layers(self) -> int:
        """Layers that cache keys and values."""
        return self.layers - (self.linear.layers if self.linear is not None else 0)

    @property
    def cached_values(self) -> int:
        """Values that one layer caches per token: 2 n_kv d, or the latent vector's width."""
        if self.latent is not None:
            return self.latent.cached_values
        return 2 * self.kv_heads * self.head_dim

    def kv_bytes_per_token(self, element_bytes: float = 2.0) -> int:
        """Return what one token takes in the KV cache of all layers that have one, in bytes.

        L_attention x 2 n_kv d x element_bytes; the latent vector's width instead of 2 n_kv d.
        Layers with a window count until it is full, see :meth:`sequence_kv_bytes`.
        """
        return round(self.attention_layers * self.cached_values * element_bytes)

    def rank_kv_bytes_per_token(self, tp: int, element_bytes: float = 2.0) -> int:
        """Return the same for one of ``tp`` ranks.

        L_attention x 2 max(1, n_kv / T) d x element_bytes. A latent vector is on every rank.
        """
        return round(self.attention_layers * self._rank_cached_values(tp) * element_bytes)

    def sequence_kv_bytes(self, tokens: float, tp: int = 1, element_bytes: float = 2.0) -> float:
        """Return what a sequence of ``tokens`` takes on one of ``tp`` ranks, in bytes.

        Layers with a window keep min(tokens, window); linear attention a state of constant size,
        divided among the ranks.
        """
        window = self.window or Window(tokens=0, layers=0)
        whole = (self.attention_layers - window.layers) * tokens
        values = (whole + window.layers * min(tokens, window.tokens)) * self._rank_cached_values(tp)
        if self.linear is not None:
            values += self.linear.layers * self.linear.state_values / tp
        return values * element_bytes

    def _rank_cached_values(self, tp: int) -> int:
        if self.latent is not None:
            return self.latent.cached_values
        return 2 * -(-self.kv_heads // tp) * self.head_dim

    def rank_parameters(self, tp: int) -> RankParameters:
        """Return the parameters of one of ``tp`` ranks.

        Sharded: embedding, output layer, attention, MLPs and experts. Replicated: norms, router,
        latent down-projections, and key/value projections once there are more ranks than heads.
        """
        sharded = replicated = 0.0
        for part in self.parts:
            count = part.parameters * part.share(tp)
            if part.share(tp) > 1 / tp:
                replicated += count
            else:
                sharded += count
        return RankParameters(sharded=round(sharded), replicated=round(replicated))

    def rank_weight_bytes(self, tp: int, weight_bytes_per_param: float | None = None) -> int:
        """Return the bytes of the weights of one of ``tp`` ranks.

        Sum over parts of parameters x share of the rank x bytes per parameter.

        Args:
            weight_bytes_per_param: Of the matrices, where an engine quantises what is stored
                otherwise; None takes all as they are stored.
        """
        weights = self.format_with(weight_bytes_per_param)
        return round(sum(p.parameters * p.share(tp) * weights.bytes_of(p.name) for p in self.parts))

    def format_with(self, weight_bytes_per_param: float | None) -> WeightFormat:
        """Return the stored format, or one with so many bytes per parameter of the matrices."""
        if weight_bytes_per_param is None:
            return self.weights
        if weight_bytes_per_param >= self.weights.plain:
            return WeightFormat(plain=weight_bytes_per_param)
        quantised = tuple((name, weight_bytes_per_param) for name in MATRICES)
        return WeightFormat(plain=self.weights.plain, quantised=quantised)

    def read_parameters(self, batch: float, tp: int = 1) -> float:
        """Return the parameters that a decode step of ``batch`` sequences reads on one rank.

        Of E experts the expected distinct ones, E (1 - (1 - k / E)^B), in each layer; of the
        embedding only rows; the output layer whole.
        """
        return sum(self._read(part, batch, tp) for part in self.parts)

    def bytes_read(
        self, batch: float, tp: int = 1, weight_bytes_per_param: float | None = None
    ) -> float:
        """Return the bytes of :meth:`read_parameters`; see :meth:`rank_weight_bytes`."""
        weights = self.format_with(weight_bytes_per_param)
        return sum(self._read(p, batch, tp) * weights.bytes_of(p.name) for p in self.parts)

    def _read(self, part: Part, batch: float, tp: int) -> float:
        rank = part.parameters * part.share(tp)
        if part.lookup:
            return min(rank, batch * self.hidden * part.share(tp))
        return rank * part.read_share(batch)

    @property
    def matmul_flops_per_token(self) -> int:
        """2 x active parameters, without what is only looked up; attention's scores not counted.

        A prefill computes the output layer for its last token only: see :attr:`head_flops`.
        """
        return 2 * sum(part.active for part in self.parts if not part.lookup)

    @property
    def head_flops(self) -> int:
        """What the output layer is of ``matmul_flops_per_token``: 2 V h."""
        return 2 * self.vocab * self.hidden

    @property
    def attention_flops_per_pair(self) -> int:
        """FLOPs of one query over one cached token in all layers: 4 L_attention n_q d.

        Latent attention: 2 L n_q (nope + rope + value), as a prefill computes it.
        """
        if self.latent is not None:
            width = self.latent.nope_dim + self.latent.rope_dim + self.latent.value_dim
            return 2 * self.attention_layers * self.heads * width
        return 4 * self.attention_layers * self.heads * self.head_dim

    def attended_tokens(self, context: float) -> float:
        """Return how many of ``context`` tokens a query looks at, the mean over layers."""
        if self.window is None or self.attention_layers == 0:
            return context
        windowed = self.window.layers / self.attention_layers
        return (1 - windowed) * context + windowed * min(context, self.window.tokens)


@cache
def _parts(model: Anatomy) -> tuple[Part, ...]:
    parts = (*_outer(model), *_attention(model), *_mlp(model), *_experts(model))
    return tuple(part for part in parts if part.parameters > 0)


def _outer(model: Anatomy) -> tuple[Part, ...]:
    """Embedding, output layer, norms and what is not text."""
    table = model.vocab * model.hidden
    vectors = model.layers * model.norm_vectors + model.final_norm_vectors
    vectors += model.layers * (model.output_bias + model.mlp_bias)
    norms = vectors * model.hidden + model.layers * (model.qk_norm + model.sinks * model.heads)
    return (
        # A tied table is read whole: it is the output layer too.
        Part(name="embedding", parameters=table, lookup=not model.tied),
        Part(name="head", parameters=(0 if model.tied else table) + model.head_bias * model.vocab),
        Part(name="positions", parameters=model.positions * model.hidden, ways=1, lookup=True),
        Part(name="norms", parameters=norms, ways=1),
        Part(name="other", parameters=model.other, ways=1, per_token=0),
    )


def _attention(model: Anatomy) -> tuple[Part, ...]:
    """Query and output matrices; key and value matrices; those of linear attention.

    h n_q d + n_q d h, and 2 h n_kv d, with (n_q + 2 n_kv) d of biases.
    """
    linear = model.linear
    mixers = Part(name="linear", parameters=linear.layers * linear.parameters if linear else 0)
    if model.latent is not None:
        return (*_latent(model, model.latent), mixers)
    width = model.heads * model.head_dim
    row = model.hidden + model.qkv_bias
    queries = row * width * (1 + model.query_gate) + width * model.hidden
    keys = 2 * row * model.kv_heads * model.head_dim
    layers = model.attention_layers
    return (
        Part(name="attention", parameters=layers * queries),
        Part(name="kv", parameters=layers * keys, ways=model.kv_heads),
        mixers,
    )


def _latent(model: Anatomy, latent: LatentAttention) -> tuple[Part, ...]:
    """h r_q + r_q + r_q n_q (nope + rope) + h (r_kv + rope) + r_kv + r_kv n_q (nope + v) + n_q v h.

    The indexer: r_q n_i d_i + h d_i + 2 d_i + h n_i, kept whole by every rank.
    """
    h, heads, rank = model.hidden, model.heads, latent.query_rank
    key = latent.nope_dim + latent.rope_dim
    up = (rank or h) * heads * key + latent.kv_rank * heads * (latent.nope_dim + latent.value_dim)
    down = h * rank + rank + h * (latent.kv_rank + latent.rope_dim) + latent.kv_rank
    index = latent.index_heads * (rank * latent.index_dim + h) + (h + 2) * latent.index_dim
    layers = model.attention_layers
    return (
        Part(name="attention", parameters=layers * (up + heads * latent.value_dim * h)),
        Part(name="latent", parameters=layers * (down + index), ways=1),
    )


def _mlp(model: Anatomy) -> tuple[Part, ...]:
    """f h for each matrix, f for each that has a bias before the last one."""
    layers = model.layers - (model.experts.layers if model.experts is not None else 0)
    biases = model.mlp_bias * (model.mlp_matrices - 1)
    width = model.mlp_matrices * model.hidden + biases
    return (Part(name="mlp", parameters=layers * width * model.intermediate),)


def _experts(model: Anatomy) -> tuple[Part, ...]:
    """Router h E, experts E 3 h f_e, shared experts 3 h f_s."""
    moe = model.experts
    if moe is None:
        return ()
    h, layers = model.hidden, moe.layers
    router = h * moe.count + moe.router_bias * moe.count + moe.shared_gate * h
    matrices = model.mlp_matrices * h * moe.intermediate
    biases = moe.biases * ((model.mlp_matrices - 1) * moe.intermediate + h)
    shared = layers * model.mlp_matrices * h * moe.shared_intermediate
    return (
        Part(name="router", parameters=layers * router, ways=1),
        _routed("experts", layers * moe.count * matrices, moe),
        _routed("expert biases", layers * moe.count * biases, moe),
        Part(name="shared", parameters=shared),
    )


def _routed(name: str, parameters: int, moe: Experts) -> Part:
    return Part(name=name, parameters=parameters, per_token=moe.per_token, of=moe.count)
