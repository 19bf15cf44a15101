"""Question 14: the skip, the law of its sizes, and what blocks do to a stream before training."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.experiments import residuals as skips
from core.experiments.pre_post_norm import torch_layer
from core.ops.residuals import distinct, expected_growth, residual
from core.training import residuals as training

LAWFUL = settings(deadline=None, derandomize=True, max_examples=30)


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ------------------------------------------------------------------------------------------------ the equations


@given(st.floats(-2, 2), st.integers(0, 99))
@LAWFUL
def test_alpha_weighs_the_path_and_not_the_branch(alpha: float, seed: int) -> None:
    x, layer = gaussian(3, 5, seed=seed), nn.Linear(5, 5, dtype=torch.float64)
    assert torch.equal(residual(x, torch.zeros_like, alpha), alpha * x)
    torch.testing.assert_close(residual(x, layer, alpha) - residual(x, layer, 0.0), alpha * x)


def test_the_skip_is_torchs() -> None:
    """A layer of nn.TransformerEncoderLayer, put together from its own branches."""
    layer, x = torch_layer(norm_first=True).double(), gaussian(2, 5, 64)
    wire = skips.wiring("pre")
    ours = wire(x, lambda y: layer.self_attn(y, y, y, need_weights=False)[0])
    ours = wire(ours, lambda y: layer.linear2(layer.linear1(y).relu()))
    torch.testing.assert_close(ours, layer(x))
    layer = torch_layer(norm_first=False).double()
    wire = skips.wiring("post")
    ours = wire(x, lambda y: layer.self_attn(y, y, y, need_weights=False)[0])
    ours = wire(ours, lambda y: layer.linear2(layer.linear1(y).relu()))
    torch.testing.assert_close(ours, layer(x))


@given(st.floats(0, 2), st.floats(0, 1), st.integers(0, 20), st.integers(0, 20))
@LAWFUL
def test_blocks_multiply(r: float, alpha: float, one: int, other: int) -> None:
    both = expected_growth(r, alpha, one + other)
    assert both == pytest.approx(expected_growth(r, alpha, one) * expected_growth(r, alpha, other))
    assert expected_growth(r, alpha, 1) == pytest.approx(r + alpha * alpha)


@given(st.integers(0, 99), st.floats(0.1, 10))
@LAWFUL
def test_what_is_distinct_is_what_the_mean_leaves(seed: int, size: float) -> None:
    x = gaussian(2, 6, 4, seed=seed)
    centred = torch.linalg.matrix_norm(x - x.mean(1, keepdim=True))
    torch.testing.assert_close(distinct(x), centred / torch.linalg.matrix_norm(x))
    torch.testing.assert_close(distinct(size * x), distinct(x))
    assert (distinct(x[:, torch.randperm(6)]) - distinct(x)).abs().max() < 1e-12
    assert float(distinct(x[:, :1].expand(-1, 6, -1)).max()) < 1e-15


def test_no_other_common_vector_is_nearer_than_the_mean() -> None:
    x, others = gaussian(6, 4), gaussian(50, 4, seed=1)
    nearest = min(float((x - other).norm() / x.norm()) for other in (*others, x.mean(0) + 1e-3))
    assert float(distinct(x)) < nearest


# ------------------------------------------------------------------------------------------------ the ladder


@pytest.mark.parametrize("r", [0.5, 1.0, 1 / 32])
def test_the_measured_sizes_follow_the_law(r: float) -> None:
    """The mean over independent networks, within four standard errors; α = 0, in between, and 1."""
    alphas = (0.0, 0.6, 1.0)
    for way in skips.climb("none", 4, r, alphas, seed=1, nets=400, tokens=1, width=32):
        assert way.shape == (5, 400, 3, 1)
    signal, gradient = skips.climb("none", 4, r, alphas, seed=1, nets=400, tokens=1, width=32)
    for found in (signal[-1, :, :, 0], gradient[0, :, :, 0]):
        error = found.std(0) / math.sqrt(len(found))
        for i, alpha in enumerate(alphas):
            assert abs(float(found[:, i].mean()) - expected_growth(r, alpha, 4)) < 4 * float(error[i])


def test_sizes_begin_with_one_the_signal_below_the_gradient_above() -> None:
    for norm in skips.NORMS:
        found = skips.ladder(norm, 8)
        assert (found.signal[:, 0] == 1).all() and (found.gradient[:, -1] == 1).all()
        assert found.signal.shape == found.gradient.shape == (len(skips.ALPHAS), 9)


def test_every_alpha_meets_the_same_weights() -> None:
    """Alone it gives what it gives beside others."""
    beside = skips.climb("pre", 4, 0.5, (0.0, 0.7, 1.0), 3, 2, 3, 16)
    alone = skips.climb("pre", 4, 0.5, (0.7,), 3, 2, 3, 16)
    for a, b in zip(beside, alone, strict=True):
        torch.testing.assert_close(a[:, :, 1:2], b, rtol=1e-4, atol=0)


def test_nothing_underflows_in_the_deepest_and_smallest() -> None:
    found = skips.ladder("none", 32, 1 / 32)
    assert float(found.gradient.min()) > 0 and float(found.signal.min()) > 0
    assert math.log10(float(found.gradient[0, 0])) == pytest.approx(math.log10(expected_growth(1 / 32, 0, 32)), abs=2)


def test_post_norm_sets_sizes_back_and_pre_norm_lets_them_grow() -> None:
    post, pre = skips.ladder("post", 32).signal, skips.ladder("pre", 32).signal
    assert (post[:, 1:] - post[:, 1:2]).abs().max() < 1e-3
    assert float(pre[-1, -1]) == pytest.approx(1 + 32 * 0.5, rel=0.2)  # every branch adds r times d


# ------------------------------------------------------------------------------------------------ whole blocks


def test_a_stack_begins_with_its_input_whatever_the_skips() -> None:
    stacks = [skips.stack("pre", each, 4) for each in training.SKIPS]
    assert len({float(one.distinct[0]) for one in stacks}) == 1
    assert all(float(one.gradient[-1]) == 1 for one in stacks)
    assert all(one.gradient.shape == (5,) and one.queries.shape == (4,) for one in stacks)


def test_where_tokens_are_alike_queries_and_keys_get_no_gradient() -> None:
    both, none = (skips.stack("pre", each, 8).queries for each in ("both", "none"))
    assert float(none[-1]) < 1e-9 and float(both.min()) > 0.01
    assert float(none[0]) == pytest.approx(float(both[0]), rel=3)  # below the first block they are not alike yet


def test_with_skips_tokens_stay_apart_and_without_they_fall_together() -> None:
    for norm in skips.NORMS:
        both, none = (skips.stack(norm, each, 8).distinct for each in ("both", "none"))
        assert float(both[4]) > 0.5 and float(none[4]) < 1e-6
        assert float(skips.stack(norm, "none", 8).points[-1].abs().max()) < 1e-12


def test_the_skip_around_attention_is_the_one_that_keeps_tokens_apart() -> None:
    attention, thinking = (skips.stack("pre", each, 8).distinct[4] for each in ("attention only", "feed-forward only"))
    assert float(attention) > 0.1 and float(thinking) < 1e-3


def test_no_two_wirings_are_the_same() -> None:
    """And each skip is around its own sublayer: a first block by hand, from the stream before it."""
    found = {each: float(skips.stack("pre", each, 1).distinct[1]) for each in training.SKIPS}
    assert len(set(found.values())) == 4
    # A skip around feed-forward cannot give tokens back what attention without one has averaged away.
    assert found["both"] > found["attention only"] > found["feed-forward only"]


def test_without_feed_forward_layers_attention_is_alone() -> None:
    """Its skip is then the only one: with the other wiring nothing changes."""
    for one, other in (("both", "attention only"), ("none", "feed-forward only")):
        a, b = (skips.stack("pre", each, 4, feed_forward_too=False).distinct for each in (one, other))
        assert torch.equal(a, b)
    with_, without = (skips.stack("pre", "both", 4, feed_forward_too=f).distinct[-1] for f in (True, False))
    assert with_ != without


def test_a_plane_shows_the_two_largest_differences() -> None:
    x = gaussian(10, 6)
    found, size = skips.plane(x), x.square().sum(-1).mean().sqrt()
    values = torch.linalg.svdvals((x - x.mean(0)) / size)
    torch.testing.assert_close(found.norm(dim=0), values[:2])
    assert float(found.mean(0).abs().max()) < 1e-12
    assert found[0, 0] >= 0 and found[1, 1] >= 0
    torch.testing.assert_close(skips.plane(3 * x), found)


def test_the_path_is_free_but_through_post_norm() -> None:
    assert skips.along_the_path("pre") == skips.along_the_path("none") == 0
    assert skips.along_the_path("post") > 0.1
    assert skips.along_the_path("post", depth=0) == 0


def test_first_distinct_is_that_of_the_trained_nets_weights() -> None:
    found = skips.first_distinct("attention only", 4)
    assert found.shape == (len(training.SEEDS),)
    heard: list[torch.Tensor] = []
    training.encode(training.first_weights(4, 2), training.asked()[:16], "attention only", hear=heard.append)
    assert len(heard) == 4
    assert float(found[2]) == pytest.approx(float(distinct(heard[-1].detach()).mean()))
