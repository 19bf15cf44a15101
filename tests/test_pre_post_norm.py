"""Question 7: what the networks of the lesson are, and that their numbers are the theory's."""

import math

import pytest
import torch
import torch.nn.functional as F

from core.concepts import pre_post_norm as lesson
from core.ops.norms import layer_norm
from core.training import pre_post_norm as training

ORDERS = pytest.mark.parametrize("order", lesson.ORDERS)


def plain(order: str, depth: int, draw: int) -> list[float]:
    """One draw alone, written as a textbook would: the gradient of every layer's second matrix."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(lesson.DRAWS, lesson.BATCH, lesson.LENGTH, 64, generator=g)[draw]
    head = (torch.randn(lesson.DRAWS, 1, 64, lesson.VOCABULARY, generator=g) / 8)[draw, 0]
    target = torch.randint(0, lesson.VOCABULARY, (lesson.DRAWS * lesson.BATCH * lesson.LENGTH,), generator=g)  # fmt: skip
    target = target.unflatten(0, (lesson.DRAWS, -1))[draw]
    weights = lesson.draw(lesson.DEPTHS[-1], 64, g)
    v, w_1, w_2 = ([m.clone() for m in w[draw, :depth]] for w in weights)
    for m in w_2:
        m.requires_grad_()
    for layer in range(depth):
        for sublayer in (
            lambda y, i=layer: (y @ v[i]).mean(-2, keepdim=True).expand_as(y),
            lambda y, i=layer: F.relu(y @ w_1[i]) @ w_2[i],
        ):
            if order == "post":
                x = F.layer_norm(x + sublayer(x), (64,))
            else:
                x = x + sublayer(F.layer_norm(x, (64,)))
    x = F.layer_norm(x, (64,)) if order == "pre" else x
    loss = F.cross_entropy((x @ head).flatten(0, 1), target)
    return [float(grad.norm()) for grad in torch.autograd.grad(loss, w_2)]


@ORDERS
def test_the_batched_gradients_are_those_of_one_network_alone(order: lesson.Order) -> None:
    for depth, draw in ((2, 0), (6, 5)):
        ours = lesson.start(order).by_layer[lesson.DEPTHS.index(depth)][draw]
        torch.testing.assert_close(ours, torch.tensor(plain(order, depth, draw)), rtol=1e-3, atol=1e-5)  # fmt: skip


@ORDERS
@pytest.mark.parametrize("width", [32, 64, 128])
def test_the_slopes_are_the_theorys(order: lesson.Order, width: int) -> None:
    """Facts: over 12 repeats +.09 ± .04 for Post-Norm (at most .17), −.47 ± .03 for Pre-Norm."""
    slopes = [
        lesson.slope(lesson.DEPTHS, lesson.start(order, width, seed).last.mean(-1))[0]
        for seed in range(3)
    ]
    low, high = (-0.15, 0.25) if order == "post" else (-0.62, -0.36)
    assert all(low < s < high for s in slopes), slopes


def test_a_slope_is_that_of_a_power_law() -> None:
    x = (2, 4, 8, 32)
    steep, at_one = lesson.slope(x, 3 * torch.tensor(x) ** -0.5)
    assert steep == pytest.approx(-0.5) and at_one == pytest.approx(3)


def test_amplification_is_linear_in_the_depth_or_logarithmic() -> None:
    """Facts: Post-Norm to the power 1.06, Pre-Norm 0.77 + log₂ L."""
    post, pre = (
        torch.stack([lesson.amplification(order, seed=s).mean(-1) for s in range(4)]).mean(0)
        for order in lesson.ORDERS
    )
    assert 0.85 < lesson.slope(lesson.DEPTHS, post)[0] < 1.45
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


@pytest.mark.parametrize("seed", range(3))
def test_encoders_are_flat_and_decoders_fall_but_not_over_random_memory(seed: int) -> None:
    tilt = {
        (order, kind): lesson.profile(order, kind, 12, seed).tilt
        for order in lesson.ORDERS
        for kind in lesson.KINDS
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
    x = torch.randn(lesson.DRAWS, 1, 4, 16, generator=g)
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
    for cell in training.CELLS:
        if cell[0] != "post":
            assert training.learned(*cell) == 4, cell
