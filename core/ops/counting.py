"""How many parameters a Transformer has, term by term, and what they cost in bytes and operations.

The letters of the formulas, as in `Architecture`:

    d   d_model                d_h   width of one head      V   vocabulary
    h   query heads            f     d_ff                   P   learned positions
    g   key/value heads        E     experts                L   layers
    d_e  width of the embedding, where it is not d
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, get_args

Kind = Literal["decoder", "encoder", "encoder-decoder"]
Norm = Literal["layer", "layer, no bias", "rms", "no parameters"]
QKNorm = Literal["none", "head", "full"]
Head = Literal["tied", "untied", "none"]
Narrow = Literal["sum", "tokens"]
Part = Literal["embeddings", "attention", "cross-attention", "feed-forward", "normalisation", "head"]
PARTS: tuple[Part, ...] = get_args(Part)

# Far beyond anything published, and small enough that the module is built in a fraction of a second.
LIMITS = {
    "d_model": 131_072,
    "n_layers": 256,
    "n_heads": 4_096,
    "n_kv_heads": 4_096,
    "head_dim": 16_384,
    "d_ff": 1_048_576,
    "vocab": 10_000_000,
    "positions": 10_000_000,
    "token_types": 1_000,
    "relative_buckets": 10_000,
    "embedding_width": 131_072,
    "experts": 4_096,
    "experts_used": 4_096,
    "decoder_layers": 256,
    "block_norms": 8,
}
MAY_BE_ZERO = {"positions", "token_types", "relative_buckets", "decoder_layers", "block_norms"}


@dataclass(frozen=True)
class Architecture:
    """The numbers that decide how many parameters a Transformer has; raises ValueError with the reason in words.

    `n_kv_heads` defaults to `n_heads`, `head_dim` to d_model / n_heads, `k_bias` to `qkv_bias`, `embedding_width` to
    d_model. `block_norms` counts the norms of a block: 2 usually, 1 where attention and feed-forward run in parallel
    behind one norm, 4 where the outputs are normalised as well; a decoder block with cross-attention has one more.
    `positions` are learned ones; sinusoids, rotations and ALiBi have no parameters. `n_layers` are the encoder's in an
    encoder-decoder. With `shared_layers` all layers of a stack are one block, run again and again (ALBERT).

    Where the embedding is not d wide, `narrow` says what is projected to d: the "sum" of tokens, types and positions,
    by a layer with a bias (ALBERT), or the "tokens" alone, by a matrix (OPT 350M). A tied head projects back first.

    In a refusal, names of fields stand in backticks: what shows it may call them as its boxes do.

    >>> Architecture(d_model=770, n_layers=12, n_heads=12, d_ff=3072, vocab=50257)
    Traceback (most recent call last):
    ...
    ValueError: `d_model` = 770 cannot be split into `n_heads` = 12 equal heads: 770 = 12 · 64 + 2. Take `d_model` = 768 or 780, or `n_heads` = 11 or 14, or give the heads a width of their own, `head_dim`.
    >>> Architecture(d_model=4096, n_layers=32, n_heads=32, n_kv_heads=5, d_ff=14336, vocab=128256)
    Traceback (most recent call last):
    ...
    ValueError: `n_heads` = 32 cannot share `n_kv_heads` = 5 evenly: 32 = 5 · 6 + 2. Take `n_kv_heads` = 1, 2, 4, 8, 16 or 32.
    """

    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    vocab: int
    n_kv_heads: int | None = None
    head_dim: int | None = None
    gated: bool = False
    qkv_bias: bool = False
    k_bias: bool | None = None
    out_bias: bool = False
    ffn_bias: bool = False
    router_bias: bool = False
    sinks: bool = False
    norm: Norm = "layer"
    block_norms: int = 2
    final_norm: bool = True
    embedding_norm: bool = False
    qk_norm: QKNorm = "none"
    positions: int = 0
    relative_buckets: int = 0
    token_types: int = 0
    embedding_width: int | None = None
    narrow: Narrow = "sum"
    pooler: bool = False
    head: Head = "tied"
    head_bias: bool = False
    experts: int = 1
    experts_used: int = 1
    shared_layers: bool = False
    kind: Kind = "decoder"
    decoder_layers: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in LIMITS or value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"`{field.name}` must be a whole number, it is {value!r}.")
            least = 0 if field.name in MAY_BE_ZERO else 1
            if value < least:
                raise ValueError(f"`{field.name}` must be at least {least}, it is {value:,}.")
            if value > LIMITS[field.name]:
                raise ValueError(f"`{field.name}` = {value:,} is too large: take at most {LIMITS[field.name]:,}.")
        if self.head_dim is None and self.d_model % self.n_heads:
            raise ValueError(
                f"`d_model` = {self.d_model:,} cannot be split into `n_heads` = {self.n_heads:,} equal heads: "
                f"{self.d_model:,} = {self.n_heads:,} · {self.d_model // self.n_heads:,} + {self.d_model % self.n_heads:,}. "
                f"Take `d_model` = {_or(_multiples(self.d_model, self.n_heads))}, "
                f"or `n_heads` = {_or(_divisors_around(self.d_model, self.n_heads))}, "
                "or give the heads a width of their own, `head_dim`."
            )
        if self.n_heads % self.kv_heads:
            why = (
                f"is less than `n_kv_heads` = {self.kv_heads:,}: some key/value heads would have no query"
                if self.kv_heads > self.n_heads
                else f"cannot share `n_kv_heads` = {self.kv_heads:,} evenly: "
                f"{self.n_heads:,} = {self.kv_heads:,} · {self.n_heads // self.kv_heads:,} + {self.n_heads % self.kv_heads:,}"
            )
            raise ValueError(f"`n_heads` = {self.n_heads:,} {why}. Take `n_kv_heads` = {_or(_divisors(self.n_heads))}.")
        if self.experts_used > self.experts:
            raise ValueError(
                f"`experts_used` = {self.experts_used:,} is more than `experts` = {self.experts:,}: a token cannot be sent "
                f"to experts that do not exist. Take `experts_used` = {'1' if self.experts == 1 else f'1 to {self.experts:,}'}."
            )
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"`kind` = {self.kind!r} is unknown. Take {', '.join(get_args(Kind)[:-1])} or {get_args(Kind)[-1]}."
            )
        if (self.kind == "encoder-decoder") != (self.decoder_layers > 0):
            why = (
                "it needs at least one. Take `decoder_layers` = 1 or more"
                if self.decoder_layers == 0
                else "only an encoder-decoder has decoder layers apart from `n_layers`. Take `decoder_layers` = 0"
            )
            raise ValueError(f"`decoder_layers` = {self.decoder_layers:,} with `kind` = {self.kind}: {why}.")
        if self.head == "none" and self.head_bias:
            raise ValueError("`head_bias` needs an output head: take `head` = tied or untied.")

    @property
    def kv_heads(self) -> int:
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads if self.head_dim is None else self.head_dim

    @property
    def key_bias(self) -> bool:
        return self.qkv_bias if self.k_bias is None else self.k_bias

    @property
    def embedding(self) -> int:
        return self.d_model if self.embedding_width is None else self.embedding_width

    @property
    def projected(self) -> bool:
        """Whether the embedding has another width than the blocks."""
        return self.embedding != self.d_model

    @property
    def blocks(self) -> int:
        """How many blocks run, each as often as it does."""
        return self.n_layers + self.decoder_layers

    @property
    def kept(self) -> int:
        """How many blocks have parameters of their own."""
        return self.stacks if self.shared_layers else self.blocks

    @property
    def stacks(self) -> int:
        return 2 if self.decoder_layers else 1

    @cached_property
    def terms(self) -> "tuple[Term, ...]":
        return count(self)

    @property
    def parameters(self) -> int:
        """Everything, to the last parameter; a tied matrix once."""
        return sum(term.total for term in self.terms)

    @property
    def block(self) -> int:
        """The parameters of one block: of the encoder's, in an encoder-decoder."""
        return sum(term.per_block for term in self.terms if term.place == "block")

    @property
    def block_matrices(self) -> int:
        """The weight matrices of one block, without biases and norms: what 12 d² wants to be."""
        return sum(term.per_block for term in self.terms if term.place == "block" and term.matrix)


def _multiples(value: int, step: int) -> list[int]:
    """The multiples of `step` around a value that is none.

    >>> _multiples(770, 12), _multiples(5, 12)
    ([768, 780], [12])
    """
    below = value - value % step
    return [n for n in (below, below + step) if 0 < n <= LIMITS["d_model"]]


def _divisors(n: int) -> list[int]:
    """
    >>> _divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    return [i for i in range(1, n + 1) if n % i == 0]


def _divisors_around(n: int, wanted: int) -> list[int]:
    """The divisors of n next to a number that is none.

    >>> _divisors_around(770, 12), _divisors_around(5, 12)
    ([11, 14], [5])
    """
    found = [i for i in _divisors(n) if i <= LIMITS["n_heads"]]
    return [i for i in (max(i for i in found if i < wanted), min((i for i in found if i > wanted), default=0)) if i]


def _or(found: list[int]) -> str:
    """
    >>> _or([1, 2, 1024])
    '1, 2 or 1,024'
    """
    *most, last = (f"{n:,}" for n in found)
    return " or ".join(filter(None, (", ".join(most), last)))


@dataclass(frozen=True)
class Term:
    """One kind of tensor: `rows` × `columns` (1 row: a vector), `each` of them in a place, `copies` places.

    `path` is where the built module keeps it, so that the two counts can be compared term by term.
    """

    path: str
    part: Part
    label: str
    formula: str
    rows: int
    columns: int
    each: int = 1
    copies: int = 1
    place: Literal["block", "cross", "model"] = "block"

    @property
    def matrix(self) -> bool:
        return not self.path.endswith("bias") and self.part != "normalisation"

    @property
    def routed(self) -> bool:
        """Whether it is one of several experts' tensors, of which a token meets some."""
        return self.part == "feed-forward" and self.each > 1

    @property
    def per_block(self) -> int:
        return self.rows * self.columns * self.each

    @property
    def total(self) -> int:
        return self.per_block * self.copies


def attention_terms(a: Architecture, cross: bool = False) -> tuple[Term, ...]:
    r"""$d \cdot d_h\,(2h + 2g)$ weights, and the biases $h d_h + 2 g d_h$ (of Q, K, V) and $d$ (of O)

    With g = h and h·d_h = d this is the textbook's $4d^2$. A sink is one more number per head, a logit that no key
    has. A layer of weights maps inputs (columns) to outputs
    (rows), as `nn.Linear` stores it. Cross-attention has the same matrices once more.

    Vaswani et al. 2017, §3.2.2, arXiv 1706.03762; grouped heads: Ainslie et al. 2023, arXiv 2305.13245

    >>> sum(t.total for t in attention_terms(Architecture(512, 1, 8, 2048, 37000))) == 4 * 512**2
    True
    """
    wide, narrow, d = a.n_heads * a.d_head, a.kv_heads * a.d_head, a.d_model
    at: Literal["block", "cross"] = "cross" if cross else "block"
    part: Part = "cross-attention" if cross else "attention"
    where = "cross_attention" if cross else "attention"
    copies = (1 if a.shared_layers else a.decoder_layers) if cross else a.kept

    def term(name: str, label: str, formula: str, rows: int, columns: int, each: int = 1) -> Term:
        return Term(f"{where}.{name}", part, label, formula, rows, columns, each, copies, at)

    found = [
        term("query.weight", "W_Q", "d · h·d_h", wide, d),
        term("key.weight", "W_K", "d · g·d_h", narrow, d),
        term("value.weight", "W_V", "d · g·d_h", narrow, d),
        term("output.weight", "W_O", "h·d_h · d", d, wide),
    ]
    if a.qkv_bias:
        found.append(term("query.bias", "b_Q", "h·d_h", 1, wide))
    if a.key_bias:
        found.append(term("key.bias", "b_K", "g·d_h", 1, narrow))
    if a.qkv_bias:
        found.append(term("value.bias", "b_V", "g·d_h", 1, narrow))
    if a.out_bias:
        found.append(term("output.bias", "b_O", "d", 1, d))
    if a.sinks:
        found.append(term("sink_bias", "sinks", "h", 1, a.n_heads))
    if a.qk_norm != "none":
        full = a.qk_norm == "full"
        for name, label, width, heads in (
            ("query_norm.weight", "norm of q", wide, "h"),
            ("key_norm.weight", "norm of k", narrow, "g"),
        ):
            found.append(
                Term(
                    f"{where}.{name}",
                    "normalisation",
                    label,
                    f"{heads}·d_h" if full else "d_h",
                    1,
                    width if full else a.d_head,
                    1,
                    copies,
                    at,
                )
            )
    return tuple(found)


def feed_forward_terms(a: Architecture) -> tuple[Term, ...]:
    r"""$2\,d f$, gated $3\,d f$, times E experts and their router $d E$; biases $f$ (twice if gated) and $d$

    With f = 4d this is $8d^2$; gated it is $8d^2$ only for $f = \tfrac{8}{3} d$.

    Vaswani et al. 2017, §3.3, arXiv 1706.03762; gated: Shazeer 2020, arXiv 2002.05202

    >>> gated = Architecture(3072, 1, 32, 8192, 32064, gated=True)
    >>> sum(t.total for t in feed_forward_terms(gated)) == 8 * 3072**2
    True
    """
    d, f, e = a.d_model, a.d_ff, a.experts

    def term(name: str, label: str, formula: str, rows: int, columns: int, each: int = e) -> Term:
        times = "E · " if each > 1 else ""
        return Term(f"feed_forward.{name}", "feed-forward", label, times + formula, rows, columns, each, a.kept)

    found = [term("router.weight", "router", "d · E", e, d, 1)] if e > 1 else []
    if e > 1 and a.router_bias:
        found.append(term("router.bias", "b_router", "E", 1, e, 1))
    names = (("gate", "W_gate", "b_gate"),) if a.gated else ()
    for name, weight, bias in (*names, ("up", "W_up", "b_up")):
        found.append(term(f"{name}.weight", weight, "d · f", f, d))
        if a.ffn_bias:
            found.append(term(f"{name}.bias", bias, "f", 1, f))
    found.append(term("down.weight", "W_down", "f · d", d, f))
    if a.ffn_bias:
        found.append(term("down.bias", "b_down", "d", 1, d))
    return tuple(found)


def norm_terms(a: Architecture) -> tuple[Term, ...]:
    r"""$d$ per RMSNorm, $2d$ per LayerNorm with a bias, for every norm of the model

    LayerNorm: Ba et al. 2016, arXiv 1607.06450; RMSNorm: Zhang and Sennrich 2019, arXiv 1910.07467
    """
    if a.norm == "no parameters":
        return ()
    cross = 1 if a.decoder_layers and a.shared_layers else a.decoder_layers
    places: tuple[tuple[str, str, int, int, Literal["block", "cross", "model"]], ...] = (
        ("norm", "norms of the layer", a.block_norms, a.kept, "block"),
        ("cross_norm", "norm of cross-attention", 1, cross, "cross"),
        ("embedding_norm", "norm of the embeddings", 1, a.stacks * a.embedding_norm, "model"),
        ("final_norm", "final norm", 1, a.stacks * a.final_norm, "model"),
    )
    found = []
    for path, label, each, copies, at in places:
        if not each * copies:
            continue
        inside = path == "embedding_norm" and a.projected and a.narrow == "sum"  # before the projection to d
        width, letter = (a.embedding, "d_e") if inside else (a.d_model, "d")
        times = f"{each} · " if each > 1 else ""
        part: Part = "normalisation"
        found.append(Term(f"{path}.weight", part, f"{label}, γ", times + letter, 1, width, each, copies, at))
        if a.norm == "layer":
            found.append(Term(f"{path}.bias", part, f"{label}, β", times + letter, 1, width, each, copies, at))
    return tuple(found)


def embedding_terms(a: Architecture) -> tuple[Term, ...]:
    r"""$V d$ for the tokens, $P d$ for learned positions (per stack), and the output head $V d$ unless it is tied

    An embedding of another width $d_e$ has $V d_e$ and a projection $d_e d$ per stack, and a tied head one more. T5's
    relative positions are one bias per bucket and head, shared by the layers of a stack. BERT's pooler is $d^2 + d$.

    Press and Wolf 2017 (tying), arXiv 1608.05859; Lan et al. 2020, §3.1 (factorised embeddings), arXiv 1909.11942
    """
    d, e, v = a.d_model, a.embedding, a.vocab
    letter = "d_e" if a.projected else "d"
    summed = a.projected and a.narrow == "sum"
    inside, inside_letter = (e, letter) if summed else (d, "d")

    def term(path: str, part: Part, label: str, formula: str, rows: int, columns: int, copies: int = 1) -> Term:
        return Term(path, part, label, formula, rows, columns, 1, copies, "model")

    found = [term("token_embedding.weight", "embeddings", "tokens", f"V · {letter}", v, e)]
    if a.positions:
        formula = f"P · {inside_letter}"
        found.append(
            term("position_embedding.weight", "embeddings", "positions", formula, a.positions, inside, a.stacks)
        )
    if a.relative_buckets:
        buckets, heads = a.relative_buckets, a.n_heads
        found.append(
            term("relative_bias.weight", "embeddings", "relative positions", "buckets · h", buckets, heads, a.stacks)
        )
    if a.token_types:
        formula = f"types · {inside_letter}"
        found.append(term("type_embedding.weight", "embeddings", "token types", formula, a.token_types, inside))
    if a.projected:
        found.append(term("embedding_projection.weight", "embeddings", "W_in", "d_e · d", d, e, a.stacks))
        if summed:
            found.append(term("embedding_projection.bias", "embeddings", "b_in", "d", 1, d, a.stacks))
    if a.pooler:
        found += [
            term("pooler.weight", "head", "W_pool", "d · d", d, d),
            term("pooler.bias", "head", "b_pool", "d", 1, d),
        ]
    if a.head == "tied" and a.projected:
        found.append(term("head_projection.weight", "head", "W_out", "d · d_e", e, d))
        if summed:
            found.append(term("head_projection.bias", "head", "b_out", "d_e", 1, e))
    if a.head == "untied":
        found.append(term("head.weight", "head", "output head", "V · d", v, d))
    if a.head_bias:
        found.append(term("head_bias", "head", "bias of the head", "V", 1, v))
    return tuple(found)


def count(a: Architecture) -> tuple[Term, ...]:
    """All terms, in the order in which a token meets them; their totals add up to the model.

    >>> gpt2 = Architecture(768, 12, 12, 3072, 50257, qkv_bias=True, out_bias=True, ffn_bias=True, positions=1024)
    >>> gpt2.block == 12 * 768**2 + 13 * 768, gpt2.parameters
    (True, 124439808)
    """
    embeddings = embedding_terms(a)
    return (
        *(t for t in embeddings if t.part == "embeddings"),
        *attention_terms(a),
        *(attention_terms(a, cross=True) if a.decoder_layers else ()),
        *feed_forward_terms(a),
        *norm_terms(a),
        *(t for t in embeddings if t.part == "head"),
    )


def by_part(a: Architecture) -> dict[Part, int]:
    """The parameters of the whole model by part; parts it does not have are left out."""
    sums = {part: sum(t.total for t in a.terms if t.part == part) for part in PARTS}
    return {part: total for part, total in sums.items() if total}


# ------------------------------------------------------------------------------------------------ the rule of thumb


def rule_of_thumb(d_model: int) -> int:
    r"""$12\,d^2 = 4d^2 + 8d^2$, attention plus feed-forward of one block

    Kaplan et al. 2020 (as $N = 12\, n_\mathrm{layer} d^2$), arXiv 2001.08361
    """
    return 12 * d_model**2


Scope = Literal["matrices", "block", "model"]


def rule_error(a: Architecture, scope: Scope = "matrices") -> float:
    r"""$(12 d^2 - N) / N$: negative where the rule counts too few

    `matrices`: N is the weight matrices of one block, of the encoder's in an encoder-decoder. `block`: with its biases
    and norms. `model`: everything, against $12 d^2$ times the number of blocks.

    >>> round(rule_error(Architecture(4096, 32, 32, 14336, 128256, n_kv_heads=8, gated=True)), 4)
    -0.0769
    """
    if scope == "model":
        return rule_of_thumb(a.d_model) * a.blocks / a.parameters - 1
    return rule_of_thumb(a.d_model) / (a.block_matrices if scope == "matrices" else a.block) - 1


# ------------------------------------------------------------------------------------------------ bytes and FLOPs

Precision = Literal["float32", "bfloat16", "mixed", "int8"]
BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "mixed": 2, "int8": 1}


@dataclass(frozen=True)
class Memory:
    """Bytes; activations are not in it, for they grow with the batch and not with the parameters alone."""

    weights: int
    gradients: int
    adam: int
    master: int

    @property
    def training(self) -> int:
        return self.weights + self.gradients + self.adam + self.master


def memory(parameters: int, precision: Precision) -> Memory:
    """Weights, gradients and Adam's two moments, all in one precision; `mixed` is bfloat16 with Adam in float32.

    Bytes per parameter: float32 4 + 4 + 8 = 16, bfloat16 2 + 2 + 4 = 8, mixed 2 + 2 + 8 and a float32 copy of
    the weights 4 = 16 (ZeRO's count; with gradients in float32 it is 18). `int8` is for inference: integers have no gradient, so the rest is 0.

    Kingma and Ba 2015, arXiv 1412.6980; mixed: Rajbhandari et al. 2020 (ZeRO), arXiv 1910.02054

    >>> memory(1, "mixed").training, memory(1, "float32").training, memory(1, "bfloat16").training
    (16, 16, 8)
    """
    each = BYTES[precision] * parameters
    if precision == "int8":
        return Memory(each, 0, 0, 0)
    if precision == "mixed":
        return Memory(each, each, 8 * parameters, 4 * parameters)
    return Memory(each, each, 2 * each, 0)


def kv_cache_bytes(a: Architecture, bytes_each: int = 2) -> int:
    r"""$2\,L\,g\,d_h \cdot \mathrm{bytes}$ per token of context: a key and a value in every layer that generates

    Zero for an encoder, which does not generate. In an encoder-decoder these are the decoder's own keys and values
    per generated token; every *source* token costs the same again, once, for cross-attention.

    Pope et al. 2022, arXiv 2211.05102; grouped heads: Ainslie et al. 2023, arXiv 2305.13245

    >>> kv_cache_bytes(Architecture(4096, 32, 32, 14336, 128256, n_kv_heads=8)) == 128 * 1024
    True
    """
    if a.kind == "encoder":
        return 0
    return 2 * (a.decoder_layers or a.n_layers) * a.kv_heads * a.d_head * bytes_each


@dataclass(frozen=True)
class Flops:
    """Multiplications and additions of one token's forward pass: through the weights, and between positions."""

    weights: int
    attention: int

    @property
    def total(self) -> int:
        return self.weights + self.attention


def flops_per_token(a: Architecture, context: int) -> Flops:
    r"""$2 \cdot (\text{matrix parameters the token meets}) + 4\,L\,n\,h\,d_h$ for n visible keys

    A lookup multiplies nothing, so embeddings count only where they are the (tied) output head; of E experts the
    token meets `experts_used`, and a layer that is shared as often as it runs; the pooler works once per text and is
    left out. In an encoder-decoder it is one source and one target token together, each seeing n keys per attention.
    Norms, biases, softmax: left out. Averaged over a causal text of n tokens the attention term is about half, and
    half of it, 2 L n h d_h, is what Kaplan et al. count. Training takes about three times this.

    Kaplan et al. 2020, §2.1, arXiv 2001.08361
    """
    runs = {"block": a.blocks, "cross": a.decoder_layers}
    met = sum(
        t.rows * t.columns * runs[t.place] * (a.experts_used if t.routed else t.each)
        for t in a.terms
        if t.matrix and t.place in runs
    )
    met += sum(t.total for t in a.terms if t.path.endswith("_projection.weight"))
    if a.head != "none":
        met += a.vocab * (a.embedding if a.head == "tied" else a.d_model)
    attentions = a.blocks + a.decoder_layers
    return Flops(2 * met, 4 * attentions * context * a.n_heads * a.d_head)


def active(a: Architecture) -> int:
    """The parameters that a token uses: all but those of the experts that it is not sent to.

    >>> active(Architecture(4096, 32, 32, 14336, 32000, n_kv_heads=8, gated=True, norm="rms", head="untied", experts=8, experts_used=2))
    12879925248
    """
    return a.parameters - sum(t.total // t.each * (a.experts - a.experts_used) for t in a.terms if t.routed)


def even_context(a: Architecture) -> float:
    """How many visible keys make attention's own term as large as that of the weights.

    >>> even_context(Architecture(768, 12, 12, 3072, 50257, head="none")) == 6 * 768
    True
    """
    return flops_per_token(a, 0).weights / flops_per_token(a, 1).attention


# ------------------------------------------------------------------------------------------------ the N × N square


def score_bytes(n: int, n_heads: int, bytes_each: int = 2) -> int:
    r"""$h\,N^2 \cdot \mathrm{bytes}$: one text's scores in one layer, if they are stored

    Vaswani et al. 2017, equation 1, arXiv 1706.03762, once per head

    >>> score_bytes(4096, 32) == 2**30
    True
    """
    return n_heads * n**2 * bytes_each


def written_scores(n: int, cached: bool = True) -> int:
    r"""$\sum_{t=1}^{N} t = \tfrac12 N(N+1)$ with a KV cache, $\sum_{t=1}^{N} \tfrac12 t(t+1) = \tfrac16 N(N+1)(N+2)$ without

    The scores, per head and layer, that are computed while N tokens are written one by one, each token seeing itself and
    those before it. Without a cache all rows of the prefix are computed again at every step.

    Pope et al. 2022 (the KV cache), arXiv 2211.05102; the sums are the triangular and the tetrahedral numbers.

    >>> written_scores(12), written_scores(12, cached=False)
    (78, 364)
    """
    return n * (n + 1) // 2 if cached else n * (n + 1) * (n + 2) // 6


# ------------------------------------------------------------------------------------------------ the feed-forward layer's part


def feed_forward_share(a: Architecture, used: bool = False) -> float:
    r"""$F / (F + A)$ of the weight matrices of one block: $8d^2 / 12d^2 = 2/3$ in the textbook's

    In an encoder-decoder of the encoder's. With `used`, of several experts only those count that a token is sent to.

    Geva et al. 2021 (“two-thirds of a transformer model's parameters”), arXiv 2012.14913

    >>> feed_forward_share(Architecture(768, 12, 12, 3072, 50257)) == 2 / 3
    True
    """
    forward, attention = layer_weights(a, used)
    return forward / (forward + attention)


def layer_weights(a: Architecture, used: bool = False) -> tuple[int, int]:
    r"""$F$ and $A$: the numbers in the weight matrices of one block, of its feed-forward layer and of its self-attention

    With `used`, of several experts only those that a token is sent to; a token's FLOPs through the weights are twice that.

    Kaplan et al. 2020, §2.1, arXiv 2001.08361

    >>> layer_weights(Architecture(768, 12, 12, 3072, 50257)) == (8 * 768**2, 4 * 768**2)
    True
    """
    matrices = [t for t in a.terms if t.place == "block" and t.matrix]

    def kept(t: Term) -> int:
        return t.rows * t.columns * (a.experts_used if used and t.routed else t.each)

    forward, attention = (sum(kept(t) for t in matrices if t.part == part) for part in ("feed-forward", "attention"))
    return forward, attention


def attention_overtakes(a: Architecture) -> float:
    r"""$N = (F - A) / (2\,h\,d_h)$: from so many visible keys on, attention costs a token more FLOPs than the feed-forward layer

    Attention multiplies $2A$ through its weights and $4\,h\,d_h\,N$ between tokens, the feed-forward layer $2F$. In the
    textbook's layer that is N = 2d. Negative where attention costs more from the start.

    Kaplan et al. 2020, §2.1, arXiv 2001.08361

    >>> attention_overtakes(Architecture(768, 12, 12, 3072, 50257)) == 2 * 768
    True
    """
    forward, attention = layer_weights(a, used=True)
    return (forward - attention) / (2 * a.n_heads * a.d_head)
