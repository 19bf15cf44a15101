"""A Transformer of PyTorch's own modules, built from an `Architecture`: the count that needs no formula.

On PyTorch's meta device a tensor has a shape and no storage, so that a model of 70 billion parameters costs nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from core.memory import remember
from core.ops.attention import attention
from core.ops.counting import Architecture


class Linear(nn.Linear):
    """nn.Linear without drawing its weights: on the meta device there is nothing to draw, and it takes most of the time."""

    def reset_parameters(self) -> None:
        pass


class Embedding(nn.Embedding):
    """nn.Embedding, likewise."""

    def reset_parameters(self) -> None:
        pass


def make_norm(a: Architecture, width: int | None = None) -> nn.Module:
    width = a.d_model if width is None else width
    if a.norm == "rms":
        return nn.RMSNorm(width)
    if a.norm == "no parameters":
        return nn.LayerNorm(width, elementwise_affine=False)
    return nn.LayerNorm(width, bias=a.norm == "layer")


class Attention(nn.Module):
    """h query heads of width d_h that share g key/value heads; self-attention, or cross-attention to a `memory`."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        wide, narrow = a.n_heads * a.d_head, a.kv_heads * a.d_head
        self.group, self.d_head = a.n_heads // a.kv_heads, a.d_head
        self.query = Linear(a.d_model, wide, bias=a.qkv_bias)
        self.key = Linear(a.d_model, narrow, bias=a.key_bias)
        self.value = Linear(a.d_model, narrow, bias=a.qkv_bias)
        self.output = Linear(wide, a.d_model, bias=a.out_bias)
        if a.sinks:
            self.sink_bias = nn.Parameter(torch.empty(a.n_heads))
        self.per_head = a.qk_norm == "head"
        full = a.qk_norm == "full"
        if a.qk_norm != "none":
            self.query_norm = nn.RMSNorm(wide if full else a.d_head)
            self.key_norm = nn.RMSNorm(narrow if full else a.d_head)

    def heads(self, x: Tensor, norm: str = "") -> Tensor:
        """[b, n, h·d_h] → [b, h, n, d_h], normalised on the way where the architecture wants it."""
        if hasattr(self, norm) and not self.per_head:
            x = getattr(self, norm)(x)
        x = x.unflatten(-1, (-1, self.d_head)).transpose(1, 2)
        return getattr(self, norm)(x) if hasattr(self, norm) and self.per_head else x

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        memory = x if memory is None else memory
        query = self.heads(self.query(x), "query_norm")
        key, value = self.heads(self.key(memory), "key_norm"), self.heads(self.value(memory))
        key, value = (t.repeat_interleave(self.group, dim=1) for t in (key, value))
        return self.output(attention(query, key, value).transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    """Two matrices, or three with a gate."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.gated = a.gated
        if a.gated:
            self.gate = Linear(a.d_model, a.d_ff, bias=a.ffn_bias)
        self.up = Linear(a.d_model, a.d_ff, bias=a.ffn_bias)
        self.down = Linear(a.d_ff, a.d_model, bias=a.ffn_bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            return self.down(nn.functional.silu(self.gate(x)) * self.up(x))
        return self.down(nn.functional.gelu(self.up(x)))


class Stacked(nn.Module):
    """The same layer of E experts: one tensor of weights and one of biases, as today's libraries keep them."""

    def __init__(self, experts: int, inside: int, outside: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, outside, inside))
        if bias:
            self.bias = nn.Parameter(torch.empty(experts, outside))

    def of(self, expert: int, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight[expert], self.bias[expert] if hasattr(self, "bias") else None)


class Experts(nn.Module):
    """E feed-forward layers and a router that sends each token to a few of them."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.experts, self.used = a.experts, a.experts_used
        self.router = Linear(a.d_model, a.experts, bias=a.router_bias)
        if a.gated:
            self.gate = Stacked(a.experts, a.d_model, a.d_ff, a.ffn_bias)
        self.up = Stacked(a.experts, a.d_model, a.d_ff, a.ffn_bias)
        self.down = Stacked(a.experts, a.d_ff, a.d_model, a.ffn_bias)

    def inner(self, i: int, x: Tensor) -> Tensor:
        if hasattr(self, "gate"):
            return nn.functional.silu(self.gate.of(i, x)) * self.up.of(i, x)
        return nn.functional.gelu(self.up.of(i, x))

    def forward(self, x: Tensor) -> Tensor:
        share, chosen = self.router(x).softmax(-1).topk(self.used, dim=-1)
        mixed = torch.zeros_like(x)
        for i in range(self.experts):
            rows = (chosen == i).any(-1)
            weight = (share * (chosen == i)).sum(-1)[rows]
            mixed[rows] += weight[..., None] * self.down.of(i, self.inner(i, x[rows]))
        return mixed


class Block(nn.Module):
    """Attention and feed-forward on a residual stream.

    One norm serves both where they run in parallel; four normalise outputs too. Whether a norm stands before or
    after its sublayer does not change the count, so they stand before it here (question 7 is about that choice).
    """

    def __init__(self, a: Architecture, cross: bool) -> None:
        super().__init__()
        self.attention = Attention(a)
        self.feed_forward = FeedForward(a) if a.experts == 1 else Experts(a)
        self.norm = nn.ModuleList(make_norm(a) for _ in range(a.block_norms))
        if cross:
            self.cross_attention = Attention(a)
            self.cross_norm = make_norm(a)
        self.cross = cross

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        norms = [*self.norm, *(nn.Identity() for _ in range(4 - len(self.norm)))]
        parallel = len(self.norm) == 1
        inside = norms[0](x)
        x = x + norms[2](self.attention(inside))
        if self.cross:
            x = x + self.cross_attention(self.cross_norm(x), memory)
        return x + norms[3](self.feed_forward(inside if parallel else norms[1](x)))


class Stack(nn.Module):
    """The blocks of an encoder or of a decoder, with what stands before and after them."""

    def __init__(self, a: Architecture, layers: int, cross: bool = False) -> None:
        super().__init__()
        self.summed = a.projected and a.narrow == "sum"
        inside = a.embedding if self.summed else a.d_model
        if a.positions:
            self.position_embedding = Embedding(a.positions, inside)
        if a.relative_buckets:
            self.relative_bias = Embedding(a.relative_buckets, a.n_heads)
        self.embedding_norm = make_norm(a, inside) if a.embedding_norm else nn.Identity()
        if a.projected:
            self.embedding_projection = Linear(a.embedding, a.d_model, bias=self.summed)
        self.layers = layers
        self.block = nn.ModuleList(Block(a, cross) for _ in range(1 if a.shared_layers else layers))
        self.final_norm = make_norm(a) if a.final_norm else nn.Identity()

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        projection = getattr(self, "embedding_projection", nn.Identity())
        x = x if self.summed else projection(x)
        if hasattr(self, "position_embedding"):
            x = x + self.position_embedding.weight[: x.shape[-2]]
        x = self.embedding_norm(x)
        x = projection(x) if self.summed else x
        for i in range(self.layers):
            x = self.block[i % len(self.block)](x, memory)
        return self.final_norm(x)


class Transformer(nn.Module):
    """The whole model: for counting parameters and matrix products, not for training.

    `forward` runs every matrix product of the architecture. What is no product of matrices is left out: masks,
    rotations, relative biases, sinks, token types.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        summed = a.projected and a.narrow == "sum"
        self.token_embedding = Embedding(a.vocab, a.embedding)
        if a.token_types:
            self.type_embedding = Embedding(a.token_types, a.embedding if summed else a.d_model)
        self.stack = nn.ModuleList([Stack(a, a.n_layers)])
        if a.decoder_layers:
            self.stack.append(Stack(a, a.decoder_layers, cross=True))
        if a.pooler:
            self.pooler = Linear(a.d_model, a.d_model)
        if a.head == "tied":
            if a.projected:
                self.head_projection = Linear(a.d_model, a.embedding, bias=summed)
            self.head = Linear(a.embedding, a.vocab, bias=False)
            self.head.weight = self.token_embedding.weight
        elif a.head == "untied":
            self.head = Linear(a.d_model, a.vocab, bias=False)
        if a.head_bias:
            self.head_bias = nn.Parameter(torch.empty(a.vocab))

    def forward(self, tokens: Tensor, target: Tensor | None = None) -> Tensor:
        """[b, n] → [b, n, vocab], or [b, n, d_model] without a head; `target` is what a decoder has written."""
        x = self.stack[0](self.token_embedding(tokens))
        if target is not None:
            x = self.stack[1](self.token_embedding(target), x)
        if hasattr(self, "head"):
            x = self.head(getattr(self, "head_projection", nn.Identity())(x))
        return x + self.head_bias if hasattr(self, "head_bias") else x


def build(a: Architecture) -> Transformer:
    """All layers of the model, on the meta device."""
    with torch.device("meta"):
        return Transformer(a)


def count_built(model: nn.Module) -> int:
    """`sum(p.numel())` over the parameters; a tied one is counted once, for `parameters()` yields it once.

    >>> count_built(build(Architecture(8192, 80, 64, 28672, 128256, n_kv_heads=8, gated=True, norm="rms", head="untied")))
    70553706496
    """
    return sum(parameter.numel() for parameter in model.parameters())


def count_by_path(model: nn.Module) -> Counter[str]:
    """The same by kind of tensor: the numbers of stacks, blocks and norms are taken out of the names.

    >>> a = Architecture(64, 2, 4, 256, 1000)
    >>> count_by_path(build(a))["attention.query.weight"] == 2 * 64**2
    True
    """
    sums: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        path = re.sub(r"\b(stack|block)\.\d+\.|(?<=norm)\.\d+(?=\.)", "", name)
        sums[path] += parameter.numel()
    return sums


@remember
def built_counts(a: Architecture) -> tuple[int, dict[str, int]]:
    """Build the model of an architecture and count it: in all, and by kind of tensor."""
    model = build(a)
    return count_built(model), dict(count_by_path(model))


class MatrixProducts(TorchFunctionMode):
    """Counts the FLOPs of every matrix product made under it: 2 for each number of the result and each summand.

    torch.utils.flop_counter counts the same (tests/test_parameters.py compares them), but importing it for the first
    time takes two seconds that a page does not have.

    >>> with MatrixProducts() as made:
    ...     _ = torch.ones(3, 4) @ torch.ones(4, 5)
    >>> made.flops == 2 * 3 * 4 * 5
    True
    """

    flops = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ("linear", "matmul", "__matmul__"):
            self.flops += 2 * result.numel() * args[0].shape[-1]
        return result


def counted_flops(a: Architecture, n: int) -> int:
    """FLOPs of the matrix products of a forward pass over n tokens (n source and n target tokens), really made.

    The model is really built and run, so it should be small.
    """
    model, tokens = Transformer(a), torch.zeros(1, n, dtype=torch.long)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)  # any values: only shapes are counted
        with MatrixProducts() as made:
            model(tokens, *([tokens] if a.decoder_layers else []))
    return made.flops
