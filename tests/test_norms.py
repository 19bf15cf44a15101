"""Normalisation and where it stands, against torch's own layers in float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.experiments.pre_post_norm import multi_head
from core.ops import masks
from core.ops.feedforward import feed_forward
from core.ops.norms import layer_norm, post_norm, pre_norm

quick = settings(deadline=None, derandomize=True, max_examples=25)
WIRE = {"post": post_norm, "pre": pre_norm}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@quick
@given(n=st.integers(1, 5), d=st.integers(1, 9), scale=st.floats(1e-6, 1e6), at=st.floats(-99, 99))
def test_layer_norm_is_torchs(n: int, d: int, scale: float, at: float) -> None:
    x = scale * normal(n, d) + at
    torch.testing.assert_close(layer_norm(x), F.layer_norm(x, (d,)), atol=1e-9, rtol=1e-9)


@quick
@given(shift=st.floats(-9, 9), scale=st.floats(0.1, 9))
def test_layer_norm_forgets_shift_and_scale(shift: float, scale: float) -> None:
    """Up to ε, which is 1e-5 beside a variance of at least 0.01 · 0.5."""
    x = normal(3, 16)
    torch.testing.assert_close(layer_norm(scale * x + shift), layer_norm(x), atol=0, rtol=2e-3)


@quick
@given(n=st.integers(1, 5), d=st.integers(1, 6), f=st.integers(1, 9))
def test_feed_forward_is_two_linear_layers(n: int, d: int, f: int) -> None:
    x, w_1, w_2 = normal(n, d), normal(d, f, seed=1), normal(f, d, seed=2)
    torch.testing.assert_close(feed_forward(x, w_1, w_2), F.linear(F.relu(F.linear(x, w_1.T)), w_2.T))


def layers(order: str, kind: type[nn.Module]) -> nn.Module:
    """A layer of torch's with random weights and without biases."""
    torch.manual_seed(3)
    layer = kind(16, 4, 24, dropout=0, batch_first=True, norm_first=order == "pre", dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    return layer


def four(attention: nn.MultiheadAttention) -> tuple[Tensor, ...]:
    """Its matrices as ours has them: one draw, inputs in rows."""
    q, k, v = attention.in_proj_weight.T.chunk(3, -1)
    return tuple(w[None] for w in (q, k, v, attention.out_proj.weight.T))


def think(layer: nn.Module, x: Tensor) -> Tensor:
    return feed_forward(x, layer.linear1.weight.T, layer.linear2.weight.T)  # type: ignore[union-attr]


@pytest.mark.parametrize("order", WIRE)
def test_an_encoder_layer_is_torchs(order: str) -> None:
    layer, x, wire = layers(order, nn.TransformerEncoderLayer), normal(1, 2, 5, 16), WIRE[order]
    ours = wire(x, multi_head(four(layer.self_attn)))  # type: ignore[arg-type]
    ours = wire(ours, lambda y: think(layer, y))
    torch.testing.assert_close(ours[0], layer(x[0]))


@pytest.mark.parametrize("order", WIRE)
def test_a_decoder_layer_is_torchs(order: str) -> None:
    layer, wire = layers(order, nn.TransformerDecoderLayer), WIRE[order]
    x, memory = normal(1, 2, 5, 16), normal(1, 2, 7, 16, seed=1)
    ours = wire(x, multi_head(four(layer.self_attn), visible=masks.causal(5)))  # type: ignore[arg-type]
    ours = wire(ours, multi_head(four(layer.multihead_attn), memory))  # type: ignore[arg-type]
    ours = wire(ours, lambda y: think(layer, y))
    hidden = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    torch.testing.assert_close(ours[0], layer(x[0], memory[0], tgt_mask=hidden))


@quick
@given(n=st.integers(1, 4), d=st.integers(2, 9))
def test_with_zero_weights_pre_norm_is_the_identity_and_post_norm_is_not(n: int, d: int) -> None:
    x = 3 * normal(n, d) + 1
    assert torch.equal(pre_norm(x, torch.zeros_like), x)
    torch.testing.assert_close(post_norm(x, torch.zeros_like), layer_norm(x))
    assert not torch.allclose(post_norm(x, torch.zeros_like), x)
