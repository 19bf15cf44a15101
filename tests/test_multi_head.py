"""Question 3: heads against torch's own in float64; the law of fetch-two; what heads cost, hold, and how they are split."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core.concepts.multi_head import concept
from core.experiments import multi_head as heads
from core.memory import size_of
from core.ops.heads import lost, merge_heads, multi_head, split_heads, sum_of_heads

SEEDED = settings(deadline=None, derandomize=True, max_examples=40)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def module(d: int, n_heads: int, seed: int = 0) -> tuple[nn.MultiheadAttention, list[Tensor]]:
    """torch's module and its matrices as ours are written, x @ W."""
    own = nn.MultiheadAttention(d, n_heads, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        own.in_proj_weight.copy_(normal(3 * d, d, seed=seed) / math.sqrt(d))
        own.out_proj.weight.copy_(normal(d, d, seed=seed + 1) / math.sqrt(d))
    w_q, w_k, w_v = own.in_proj_weight.detach().chunk(3)
    return own, [w_q.T, w_k.T, w_v.T, own.out_proj.weight.detach().T]


# ---------------------------------------------------------------------------------------------- the equations


@pytest.mark.parametrize("n_heads", [1, 2, 3, 6, 12])
def test_several_heads_are_torchs(n_heads: int) -> None:
    own, matrices = module(12, n_heads)
    x = normal(2, 5, 12, seed=9)
    expected, _ = own(x, x, x)
    torch.testing.assert_close(multi_head(x, *matrices, n_heads), expected.detach())
    torch.testing.assert_close(sum_of_heads(x, *matrices, n_heads), expected.detach())


@pytest.mark.parametrize(("n_heads", "kv_heads"), [(4, 1), (4, 2), (4, 4), (6, 2), (6, 3)])
def test_shared_keys_are_torchs_grouped_attention(n_heads: int, kv_heads: int) -> None:
    d = 24
    d_k = d // n_heads
    x, w_q, w_o = normal(2, 5, d), normal(d, d, seed=1) / 5, normal(d, d, seed=2)
    w_k, w_v = normal(d, kv_heads * d_k, seed=3) / 5, normal(d, kv_heads * d_k, seed=4)
    split = [
        (x @ w).unflatten(-1, (n, d_k)).transpose(1, 2) for w, n in ((w_q, n_heads), (w_k, kv_heads), (w_v, kv_heads))
    ]
    expected = F.scaled_dot_product_attention(*split, enable_gqa=True).transpose(1, 2).flatten(2) @ w_o
    torch.testing.assert_close(multi_head(x, w_q, w_k, w_v, w_o, n_heads), expected)


@pytest.mark.parametrize("n_heads", [0, -1, 3, 16])
def test_heads_that_do_not_fit_are_refused_in_words(n_heads: int) -> None:
    x, w = normal(3, 8), normal(8, 8)
    for refused in (lambda: split_heads(x, n_heads), lambda: sum_of_heads(x, w, w, w, w, n_heads)):
        with pytest.raises(ValueError, match="cannot share a width of 8"):
            refused()
    for width in (3, 6):  # no whole head; three that two cannot share
        with pytest.raises(ValueError, match="no whole heads of width 2"):
            multi_head(normal(3, 4), normal(4, 4), normal(4, width), normal(4, width), normal(4, 4), 2)


@SEEDED
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_splitting_moves_nothing_between_tokens_and_merging_undoes_it(h: int, n: int, d_k: int, seed: int) -> None:
    x = normal(2, n, h * d_k, seed=seed)
    split = split_heads(x, h)
    assert split.shape == (2, h, n, d_k)
    for i, j in itertools.product(range(h), range(n)):
        assert torch.equal(split[:, i, j], x[:, j, i * d_k : (i + 1) * d_k])
    assert torch.equal(merge_heads(split), x)


@SEEDED
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 999))
def test_the_errors_add_up_to_the_values_less_the_different_heads(h: int, n: int, seed: int) -> None:
    weights = normal(h, n, seed=seed).softmax(-1)
    errors = lost(weights)
    assert float(errors.sum()) == pytest.approx(max(0, n - h), abs=1e-8)
    assert ((errors > -1e-9) & (errors < 1 + 1e-9)).all()
    # By hand: the distance of each unit vector from what the heads span.
    basis = torch.linalg.qr(weights.mT)[0]
    torch.testing.assert_close(errors, 1 - basis.square().sum(-1), atol=1e-8, rtol=0)
    # A head twice is one head.
    torch.testing.assert_close(lost(torch.cat([weights, weights[:1]])), errors, atol=1e-8, rtol=0)


# ---------------------------------------------------------------------------------------------- fetch-two


def test_the_draws_are_exactly_unrelated_with_variance_1() -> None:
    for c in (1, 4, 16):
        flat = heads.unrelated(c).flatten(1)
        torch.testing.assert_close(
            flat.mT @ flat / len(flat), torch.eye(2 * c, dtype=torch.float64), atol=1e-12, rtol=0
        )
        assert float(flat.abs().max()) > 2, "spread like N(0, 1), not ±1"
    assert not torch.allclose(heads.unrelated(1, seed=3), heads.unrelated(1, seed=4))


def test_a_head_returns_its_mixture() -> None:
    values = heads.unrelated(4)
    w = torch.tensor([[[0.3, 0.7], [1.0, 0.0]]], dtype=torch.float64)
    brought = heads.bring(w, values)
    assert brought.shape == (1, 2, heads.DRAWS, 4)
    torch.testing.assert_close(brought[0, 0], 0.3 * values[:, 0] + 0.7 * values[:, 1])
    torch.testing.assert_close(brought[0, 1], values[:, 0])


@pytest.mark.parametrize("features", [1, 4, 16])
@pytest.mark.parametrize("second", [0.0, 0.35, 0.5, 1.0])
def test_what_is_lost_is_the_law(second: float, features: int) -> None:
    found = heads.fetch_two(second, features)
    for i, w in enumerate(heads.STOPS):
        s = w * w + (1 - w) ** 2
        expected = torch.tensor([(1 - w) ** 2, w * w], dtype=torch.float64) / s
        torch.testing.assert_close(found.one[i], expected, atol=1e-9, rtol=0)
        torch.testing.assert_close(found.read_one[i, :, 0], torch.tensor([w, 1 - w], dtype=torch.float64) / s)
        both = torch.tensor([[w, 1 - w], [second, 1 - second]], dtype=torch.float64)
        torch.testing.assert_close(
            found.two[i], expected if w == second else torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0
        )
        torch.testing.assert_close(found.two[i], lost(both), atol=1e-9, rtol=0)
        if w != second:
            torch.testing.assert_close(found.read_two[i] @ both, torch.eye(2, dtype=torch.float64), atol=1e-9, rtol=0)


def test_no_other_read_out_of_plain_draws_does_better() -> None:
    """Without the draws made orthogonal, and with least squares by torch: about 1, on average over seeds."""
    totals = []
    for seed in range(20):
        u, v = normal(2, 4000, seed=seed)
        o = (0.3 * u + 0.7 * v)[:, None]
        totals.append(
            sum(float((o @ torch.linalg.lstsq(o, x[:, None]).solution - x[:, None]).square().mean()) for x in (u, v))
        )
    assert sum(totals) / 20 == pytest.approx(1, abs=4 * math.sqrt(2 / 80_000))


def test_with_features_of_its_own_each_value_survives_one_head() -> None:
    shared, own = heads.through_w_o(), heads.through_w_o(own_features=True)
    torch.testing.assert_close(shared, heads.fetch_two(features=16).one, atol=1e-9, rtol=0)
    torch.testing.assert_close(own[1:-1], torch.zeros(19, 2, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(own[[0, -1]], torch.eye(2, dtype=torch.float64), atol=1e-12, rtol=0)
    # By hand, with w = 0.3: u in the first half of the features, v in the second, and W_O divides by the weights.
    values = heads.unrelated(16)
    u, v = values[:, 0, :8], values[:, 1, 8:]
    mixed = 0.3 * torch.cat([u, 0 * v], -1) + 0.7 * torch.cat([0 * u, v], -1)
    torch.testing.assert_close(
        mixed @ torch.diag(torch.tensor([1 / 0.3] * 8 + [1 / 0.7] * 8).double()), torch.cat([u, v], -1)
    )


def test_a_short_list_of_values_can_be_told_from_their_mixture_and_gaussian_ones_cannot() -> None:
    """What the push-back says of the feed-forward layer."""
    for u, v in itertools.product((-1, 1), repeat=2):
        mixed = 0.3 * u + 0.7 * v
        sign = math.copysign(1, mixed)
        assert sign == v and math.copysign(1, mixed - 0.7 * sign) == u
    u, v = normal(2, 400_000)
    mixed = 0.3 * u + 0.7 * v
    slope = 0.3 / (0.3**2 + 0.7**2)
    for low in (-1.5, -0.5, 0.0, 0.5, 1.5):  # in no slice of the mixture is the mean of u off the line
        inside = (mixed >= low) & (mixed < low + 0.1)
        assert float((u - slope * mixed)[inside].mean()) == pytest.approx(0, abs=4 / math.sqrt(int(inside.sum())))


def test_one_layer_brings_one_and_two_layers_both() -> None:
    torch.testing.assert_close(heads.in_steps(1), torch.tensor([0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(heads.in_steps(2), torch.zeros(2, dtype=torch.float64))


def test_features_share_a_heads_weights_and_two_heads_have_two() -> None:
    one, two = heads.weights_of_features(1), heads.weights_of_features(2)
    assert one.shape == (heads.WIDTH, heads.TOKENS)
    torch.testing.assert_close(one.sum(-1), torch.ones(heads.WIDTH, dtype=torch.float64))
    assert (one == one[0]).all() and len({tuple(row) for row in two.tolist()}) == 2
    assert (two[:8] == two[0]).all() and (two[8:] == two[8]).all()


# ---------------------------------------------------------------------------------------------- what heads cost


@pytest.mark.parametrize("n_heads", heads.COUNTS)
def test_the_cost_is_that_of_torchs_module(n_heads: int) -> None:
    own = nn.MultiheadAttention(heads.D_MODEL, n_heads, batch_first=True)
    x = torch.randn(1, heads.CONTEXT, heads.D_MODEL)
    with FlopCounterMode(display=False) as made:
        _, weights = own(x, x, x, average_attn_weights=False)
    before = torch.get_rng_state()
    c = heads.cost(n_heads)
    assert torch.equal(torch.get_rng_state(), before), "nobody else’s random numbers change"
    assert c.parameters == sum(p.numel() for p in own.parameters()) == 4 * 512**2 + 4 * 512
    assert c.flops == made.get_total_flops() == 8 * 64 * 512**2 + 4 * 64**2 * 512
    assert c.score_bytes == weights.nbytes == n_heads * 64 * 64 * 4
    assert c.cache_bytes == 2 * 512 * 4


@pytest.mark.parametrize("n_heads", heads.COUNTS)
def test_shared_heads_shrink_keys_values_and_cache_and_nothing_else(n_heads: int) -> None:
    own = heads.cost(n_heads)
    for sharing, shared in (("grouped", max(1, n_heads // 4)), ("one", 1)):
        assert heads.kv_heads(n_heads, sharing) == shared  # type: ignore[arg-type]
        c, width = heads.cost(n_heads, sharing), shared * 512 // n_heads  # type: ignore[arg-type]
        assert own.parameters - c.parameters == 2 * (512 - width) * (512 + 1)
        assert own.flops - c.flops == 2 * 2 * 64 * 512 * (512 - width)
        assert c.score_bytes == own.score_bytes and c.cache_bytes * n_heads == own.cache_bytes * shared


def test_wide_heads_are_what_people_fear() -> None:
    wide = heads.cost(8, wide=True)
    assert wide.parameters == 8 * 4 * 512**2 + (3 * 8 + 1) * 512 and wide.flops == 8 * heads.cost(1).flops


# ---------------------------------------------------------------------------------------------- the rank of a head


@pytest.mark.parametrize("seed", [0, 1, 9999])
@pytest.mark.parametrize("d_k", heads.HEAD_WIDTHS)
def test_the_ranks_are_those_of_torch(d_k: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(heads.KEYS, d_k, generator=g, dtype=torch.float64) for _ in "qk")
    scores = query @ key.T / math.sqrt(d_k)
    s = heads.spectra(d_k, seed)
    assert s.rank("logits") == int(torch.linalg.matrix_rank(scores)) == d_k
    assert s.rank("weights") == int(torch.linalg.matrix_rank(scores.softmax(-1))) >= d_k
    assert s.logits[0] == s.weights[0] == 1 and (s.logits.diff() <= 0).all()


def test_what_is_out_of_reach_is_the_best_that_a_rank_can_do() -> None:
    share = heads.out_of_reach(7)
    assert share[0] == 1 and share[-1] == 0 and (share.diff() <= 0).all() and float(share[63]) < 1e-25
    pattern = normal(heads.KEYS, heads.KEYS, seed=107)
    centred = pattern - pattern.mean(-1, keepdim=True)
    u, s, v = torch.linalg.svd(centred)
    for d_k in (1, 8, 32):
        query, key = u[:, :d_k] * s[:d_k], v[:d_k].T
        left = centred - query @ key.T
        assert float(left.square().sum() / centred.square().sum()) == pytest.approx(float(share[d_k]))
        # A head of that width that is trained for it finds no better one, and its softmax ignores what a row is shifted by.
        other = query + 0.1 * normal(heads.KEYS, d_k, seed=d_k)
        scores = other @ key.T
        assert (centred - (scores - scores.mean(-1, keepdim=True))).square().sum() > left.square().sum()


@pytest.mark.parametrize("seed", [0, 3, 9999])
def test_of_keys_on_a_line_only_the_ends_are_favourites(seed: int) -> None:
    """What the page says, and that wider heads let more keys win."""
    counts = [heads.favourites(d_k, seed=seed) for d_k in heads.HEAD_WIDTHS]
    assert counts[0] == 2 and counts == sorted(counts) and counts[-1] == heads.KEYS


# ---------------------------------------------------------------------------------------------- a projection, split


@pytest.mark.parametrize("n_heads", heads.SPLITS)
def test_only_the_right_code_is_right(n_heads: int) -> None:
    errors = {code: heads.written(code, n_heads).error for code in ("right", "view", "merge", "d_model")}  # type: ignore[arg-type]
    assert errors["right"] < 1e-14
    for code in ("view", "merge", "d_model"):
        assert (errors[code] < 1e-14) if n_heads == 1 else (errors[code] > 0.1), code
    assert heads.split_or_small(n_heads) == 0
    assert (heads.split_or_small(n_heads, "view") == 0) == (n_heads == 1)


def test_each_wrong_code_is_the_mistake_that_it_is_called() -> None:
    d, h, n = heads.WIDTH, 4, heads.TOKENS
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        own = nn.MultiheadAttention(d, h, bias=False, batch_first=True, dtype=torch.float64)
        x = torch.randn(1, n, d, dtype=torch.float64)
        expected = own(x, x, x)[0][0]
    q, k, v = (x[0] @ w.T for w in own.in_proj_weight.detach().chunk(3))
    proper = [t.view(n, h, -1).transpose(0, 1) for t in (q, k, v)]
    made = {
        "view": F.scaled_dot_product_attention(*(t.view(h, n, -1) for t in (q, k, v))).transpose(0, 1).reshape(n, d),
        "merge": F.scaled_dot_product_attention(*proper).reshape(n, d),
        "d_model": F.scaled_dot_product_attention(*proper, scale=1 / math.sqrt(d)).transpose(0, 1).reshape(n, d),
    }
    before = torch.get_rng_state()
    for code, joined in made.items():
        off = (joined @ own.out_proj.weight.detach().T - expected).norm() / expected.norm()
        assert heads.written(code, h, seed=5).error == pytest.approx(float(off), rel=1e-9)  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), before), "nobody else’s random numbers change"


def test_the_picture_says_whose_numbers_they_are() -> None:
    meant = torch.arange(heads.TOKENS, dtype=torch.float64)[:, None]
    for h in heads.SPLITS:
        d_k = heads.WIDTH // h
        assert torch.equal(heads.written("right", h).origin, meant.expand(-1, d_k))
        assert torch.equal(heads.written("d_model", h).origin, meant.expand(-1, d_k))
        # view(h, n, d_k): the first head holds the first n · d_k numbers, those of the first n / h tokens.
        flat = torch.arange(heads.TOKENS * heads.WIDTH) // heads.WIDTH
        assert torch.equal(heads.written("view", h).origin, flat[: heads.TOKENS * d_k].view(heads.TOKENS, d_k).double())
        split = meant.expand(-1, heads.WIDTH).reshape(heads.TOKENS, h, d_k).transpose(0, 1)
        assert torch.equal(heads.written("merge", h).origin, split.reshape(heads.TOKENS, heads.WIDTH))


def test_a_head_depends_on_every_input_feature() -> None:
    assert heads.inputs_seen() == 512 and heads.inputs_seen(sliced=True) == 64
    assert heads.inputs_seen(n_heads=64) == 512 and heads.inputs_seen(True, 64) == 8


def test_the_heads_are_a_sum_in_any_order() -> None:
    assert max(heads.heads_as_a_sum()) < 1e-14
    assert heads.heads_as_a_sum(averaged=True)[0] == pytest.approx(3 / 4)  # a quarter of it is left
    assert heads.heads_as_a_sum(moved_together=False)[1] > 0.1


def test_results_are_small() -> None:
    assert size_of(heads.fetch_two(0.5, 16)) < 10_000 and size_of(heads.spectra(8)) < 3_000
    assert size_of(heads.written("merge", 8)) < 3_000


# ---------------------------------------------------------------------------------------------- what is said


def test_the_wrong_options_say_true_things() -> None:
    """“One head loses that at any weight w: of u (1 − w)², of v w², each divided by w² + (1 − w)²”; two alike lose as much."""
    one, w = heads.fetch_two().one, torch.tensor(heads.STOPS, dtype=torch.float64)
    law = torch.stack([(1 - w) ** 2, w**2], -1) / (w**2 + (1 - w) ** 2)[:, None]
    torch.testing.assert_close(one, law, atol=1e-12, rtol=0)
    alike = heads.fetch_two(0.3).two[heads.STOPS.index(0.3)]
    torch.testing.assert_close(alike, law[heads.STOPS.index(0.3)], atol=1e-9, rtol=0)
    assert concept.prediction is not None
    assert concept.prediction.outcome(concept.prediction.experiment()).startswith(
        "Measured just now: together they lose 0,"
    )
    assert len(heads.STOPS) == 21 and float(one.sum(-1).max() - one.sum(-1).min()) < 1e-9
