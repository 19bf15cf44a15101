"""Question 7: what the networks of the lesson are, and that their numbers are the theory's."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.concepts import pre_post_norm as lesson
from core.ops.norms import layer_norm
from core.training import pre_post_norm as training

ORDERS = pytest.mark.parametrize("order", lesson.ORDERS)


def plain(order: str, depth: int, draw: int) -> list[float]:
    """One draw alone, written as a textbook would: the gradient of every layer's second matrix."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(lesson.draws(64), lesson.BATCH, lesson.LENGTH, 64, generator=g)[draw]
    head = (torch.randn(lesson.draws(64), 1, 64, lesson.VOCABULARY, generator=g) / 8)[draw, 0]
    target = torch.randint(0, lesson.VOCABULARY, (lesson.draws(64) * lesson.BATCH * lesson.LENGTH,), generator=g)
    target = target.unflatten(0, (lesson.draws(64), -1))[draw]
    weights = lesson.draw(lesson.DEPTHS[-1], 64, g)
    v, w_1, w_2 = ([m.clone() for m in w[draw, :depth]] for w in weights)
    for m in w_2:
        m.requires_grad_()
    for layer in range(depth):
        for sublayer in (
            lambda y, i=layer: (y @ v[i]).mean(-2, keepdim=True).expand_as(y),
            lambda y, i=layer: F.relu(y @ w_1[i]) @ w_2[i],
        ):
            x = F.layer_norm(x + sublayer(x), (64,)) if order == "post" else x + sublayer(F.layer_norm(x, (64,)))
    x = F.layer_norm(x, (64,)) if order == "pre" else x
    loss = F.cross_entropy((x @ head).flatten(0, 1), target)
    return [float(grad.norm()) for grad in torch.autograd.grad(loss, w_2)]


@ORDERS
def test_the_batched_gradients_are_those_of_one_network_alone(order: lesson.Order) -> None:
    for depth, draw in ((2, 0), (6, 5)):
        ours = lesson.start(order).by_layer[lesson.DEPTHS.index(depth)][draw]
        torch.testing.assert_close(ours, torch.tensor(plain(order, depth, draw)), rtol=1e-3, atol=1e-5)


@ORDERS
@pytest.mark.parametrize("width", [32, 64, 128])
def test_the_slopes_are_the_theorys(order: lesson.Order, width: int) -> None:
    """Facts: over 12 repeats +.09 ± .04 for Post-Norm (at most .17), −.47 ± .03 for Pre-Norm."""
    slopes = [float(lesson.slope(lesson.DEPTHS, lesson.start(order, width, seed).last.mean(-1))) for seed in range(3)]
    low, high = (-0.15, 0.25) if order == "post" else (-0.62, -0.36)
    assert all(low < s < high for s in slopes), slopes


def test_a_slope_is_that_of_a_power_law() -> None:
    x = (2, 4, 8, 32)
    one = 3 * torch.tensor(x) ** -0.5
    assert float(lesson.slope(x, one)) == pytest.approx(-0.5)
    both = lesson.slope(x, torch.stack([one, torch.tensor(x) ** 2.0], -1))
    torch.testing.assert_close(both, torch.tensor([-0.5, 2], dtype=torch.float64))


def test_the_typical_draw_is_not_led_by_the_largest() -> None:
    assert float(lesson.typical(torch.tensor([1.0, 1, 1, 10_000]))) == pytest.approx(10)


def test_amplification_is_linear_in_the_depth_or_logarithmic() -> None:
    """Facts: Post-Norm to the power 1.06, Pre-Norm 0.77 + log₂ L."""
    post, pre = (
        lesson.typical(torch.cat([lesson.amplification(order, seed=s) for s in range(4)], -1))
        for order in lesson.ORDERS
    )
    assert 0.85 < lesson.slope(lesson.DEPTHS, post) < 1.25
    logarithm = 0.77 + torch.tensor(lesson.DEPTHS).log2()
    assert (pre / logarithm - 1).abs().max() < 0.35
    assert (post > pre).all()


def test_amplification_is_a_derivative() -> None:
    """Half the noise, the same number: the change is in the linear range."""
    full, half = (lesson.amplification("pre", epsilon=e) for e in (0.02, 0.01))
    torch.testing.assert_close(full.mean(-1), half.mean(-1), rtol=0.1, atol=0)


def test_growth() -> None:
    """Xiong et al., lemma 2: Pre-Norm grows by 0.5 to 1.5 per layer. A normalised vector has ‖x‖²/d = 1, less ε."""
    pre, post = lesson.growth("pre"), lesson.growth("post")
    per_layer = pre.size.diff()
    assert 0.5 < per_layer.mean() < 1.5
    torch.testing.assert_close(post.size[1:], torch.ones(48), atol=1e-3, rtol=0)
    assert (pre.change[24:] < pre.change[0] / 2).all() and (post.change > 0.5).all()


@ORDERS
def test_growth_is_that_of_a_plain_stack(order: lesson.Order) -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(lesson.draws(64), lesson.BATCH, lesson.LENGTH, 64, generator=g)
    weights = lesson.draw(lesson.DEPTHS[-1], 64, g)
    after = []
    for layer in range(2):
        before = x
        for sublayer in (
            lambda y, i=layer: (y.mean(-2, keepdim=True) @ weights.v[:, None, i]).expand_as(y),
            lambda y, i=layer: F.relu(y @ weights.w_1[:, None, i]) @ weights.w_2[:, None, i],
        ):
            x = F.layer_norm(x + sublayer(x), (64,)) if order == "post" else x + sublayer(F.layer_norm(x, (64,)))
        after.append(float(((x - before).norm(dim=-1) / before.norm(dim=-1)).mean()))
    grown = lesson.growth(order)
    torch.testing.assert_close(grown.change[:2], torch.tensor(after), rtol=1e-4, atol=1e-5)
    assert float(grown.size[2]) == pytest.approx(float(x.square().mean()), rel=1e-4)


def test_the_final_norm_hides_how_long_the_stream_has_become() -> None:
    with_norm, without = (lesson.start("pre", final_norm=f) for f in (True, False))
    assert (without.spread.mean(-1).diff() > 0).all()
    # Facts: the stream is 38.6 d long at 32 layers; logits of a stream of size s have the spread √s.
    grown = lesson.growth("pre").size[32]
    at = lesson.DEPTHS.index(32)
    assert float(without.spread[at].mean()) == pytest.approx(math.sqrt(grown), rel=0.15)
    assert float(with_norm.spread[at].mean()) == pytest.approx(1, rel=0.1)
    knows_nothing = math.log(lesson.VOCABULARY)
    assert float(with_norm.loss[at].mean()) < knows_nothing + 1 < float(without.loss[at].mean()) - 5


def torchs(order: lesson.Order, blocks: list[lesson.Block], decoder: bool) -> nn.Module:
    """torch's own stack, with the weights of draw 0 and no biases."""
    kind = nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer
    layer = kind(64, 4, 256, dropout=0, batch_first=True, norm_first=order == "pre")
    norm = nn.LayerNorm(64)
    stack = (
        nn.TransformerDecoder(layer, len(blocks), norm)
        if decoder
        else nn.TransformerEncoder(layer, len(blocks), norm, enable_nested_tensor=False)
    )
    with torch.no_grad():
        for name, parameter in stack.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        for one, block in zip(stack.layers, blocks, strict=True):
            for theirs, ours in (
                (one.self_attn, block.attention),
                *([(one.multihead_attn, block.cross)] if decoder else []),
            ):
                theirs.in_proj_weight.copy_(torch.cat([w[0] for w in ours[:3]], -1).T)
                theirs.out_proj.weight.copy_(ours[3][0].T)
            one.linear1.weight.copy_(block.w_1[0, 0].T)
            one.linear2.weight.copy_(block.w_2[0, 0].T)
    return stack


@ORDERS
def test_the_full_stacks_are_torchs(order: lesson.Order) -> None:
    g = torch.Generator().manual_seed(0)
    blocks = [lesson.draw_block(2, 64, g) for _ in range(3)]
    x, memory = (torch.randn(2, 2, 16, 64, generator=g) for _ in range(2))
    encoder, decoder = (torchs(order, blocks, decoder) for decoder in (False, True))
    close = {"atol": 2e-4, "rtol": 2e-4}
    torch.testing.assert_close(lesson.full_stack(order, x, blocks)[0], encoder(x[0]), **close)
    hidden = nn.Transformer.generate_square_subsequent_mask(16)
    theirs = decoder(x[0], memory[0], tgt_mask=hidden)
    torch.testing.assert_close(lesson.full_stack(order, x, blocks, memory)[0], theirs, **close)


@pytest.mark.parametrize("seed", range(3))
def test_encoders_are_flat_and_decoders_fall_but_not_over_random_memory(seed: int) -> None:
    tilt: dict = {
        (order, kind): lesson.profile(order, kind, 12, seed).tilt for order in lesson.ORDERS for kind in lesson.KINDS
    }
    assert 2 / 3 < tilt["post", "encoder"] < 1.5
    assert tilt["post", "decoder"] > 5  # facts: 16.4 for torch's own module
    assert tilt["post", "random memory"] < 2
    assert all(0.2 < tilt["pre", kind] < 0.8 for kind in lesson.KINDS)


def test_a_post_norm_encoder_makes_vectors_alike() -> None:
    post, pre, random = (
        lesson.profile(order, kind, 12).alike
        for order, kind in (("post", "decoder"), ("pre", "decoder"), ("post", "random memory"))
    )
    assert post > 0.9 > pre > random and abs(random) < 0.05


def test_cosine() -> None:
    assert lesson.cosine(torch.eye(4)) == pytest.approx(0, abs=1e-6)
    assert lesson.cosine(torch.ones(2, 3, 5)) == pytest.approx(1)


@ORDERS
def test_shallow_networks_are_the_beginning_of_deep_ones(order: lesson.Order) -> None:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(lesson.draws(16), 1, 4, 16, generator=g)
    deep = lesson.draw(6, 16, g)
    shallow = lesson.Weights(*(w[:, :2] for w in deep))
    long, short = lesson.stream(order, x, deep), lesson.stream(order, x, shallow)
    assert len(long) == 7 and all(torch.equal(a, b) for a, b in zip(long, short, strict=False))
    assert torch.equal(long[0], x)
    if order == "post":
        torch.testing.assert_close(long[-1], layer_norm(long[-1]), atol=1e-4, rtol=1e-4)


def test_what_the_sentences_say_of_the_shipped_training() -> None:
    assert [training.learned("post", d, 0.003, 0) for d in training.DEPTHS] == [4, 4, 4, 0]
    assert training.learned("post", 12, 0.003, 100) == training.learned("post", 12, 0.001, 0) == 4
    assert training.learned("post", 12, 0.01, 100) == 0
    ten = training.SNAPSHOTS.index(10) + 1
    tilted = [
        (c[3], bool(run.loss[-1] < training.LEARNED))
        for c in training.CELLS
        if c[0] == "post"
        for run in training.trained(*c)
        if (run.by_layer[:ten, -1] / run.by_layer[:ten, 0]).max() > 10
    ]
    # Every run that failed without a warm-up, two that learned, and none of the four that failed with one.
    assert tilted.count((0, False)) == 16 and tilted.count((0, True)) == 2 and len(tilted) == 18
    for cell in training.CELLS:
        if cell[0] != "post":
            assert training.learned(*cell) == 4, cell
