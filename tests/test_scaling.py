"""Question 2's experiments against theory and against plain torch: what is drawn, divided, weighed and passed on."""

import itertools
import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from core.concepts.scaling import concept
from core.experiments import scaling
from core.experiments.scaling import QUERIES, SETS, WIDTHS, Distribution, Init, at, attend, draw
from core.memory import size_of
from core.ops.attention import Divisor
from core.say import percent

ROWS = SETS * QUERIES
# Of one component: mean, variance, kurtosis, and the bounds that no value passes.
MOMENTS: dict[Distribution, tuple[float, float, float, float, float]] = {
    "normal": (0, 1, 3, -math.inf, math.inf),
    "uniform": (0, 1 / 3, 9 / 5, -1, 1),
    "rademacher": (0, 1, 1, -1, 1),
    "shifted": (1 / 2, 1, 3, -math.inf, math.inf),
}
every_distribution = pytest.mark.parametrize("distribution", get_args(Distribution))
every_divisor = pytest.mark.parametrize("divisor", get_args(Divisor))
DIVIDE: dict[Divisor, float] = {"none": 0, "sqrt": 0.5, "d_k": 1}  # by d_k to this power


def components(distribution: Distribution, n_keys: int, seed: int) -> tuple[Tensor, Tensor]:
    """The queries and keys behind `dot_products`, drawn again."""
    g = torch.Generator().manual_seed(seed)
    query, key = (draw(distribution, SETS, n, WIDTHS[-1], generator=g).double() for n in (QUERIES, n_keys))
    return query, key


def plain_logits(divisor: Divisor, d_k: int, n_keys: int, distribution: Distribution, seed: int) -> Tensor:
    query, key = components(distribution, n_keys, seed)
    products = torch.einsum("sqd,skd->sqk", query[..., :d_k], key[..., :d_k])
    return products.flatten(0, 1) / d_k ** DIVIDE[divisor]


# ---------------------------------------------------------------------------------------------- what is drawn


@every_distribution
def test_a_component_has_the_moments_of_its_distribution(distribution: Distribution) -> None:
    x = draw(distribution, 300, 400, generator=torch.Generator().manual_seed(0)).double()
    mean, variance, kurtosis, low, high = MOMENTS[distribution]
    n = x.numel()
    assert float(x.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / n))
    assert float(x.var()) == pytest.approx(variance, rel=4 * math.sqrt(max(kurtosis - 1, 1e-3) / n))
    fourth = ((x - mean) ** 4).mean() / variance**2
    assert float(fourth) == pytest.approx(kurtosis, rel=0.05)
    assert low <= float(x.min()) and float(x.max()) <= high
    if distribution == "rademacher":
        assert set(x.unique().tolist()) == {-1.0, 1.0}
    # Neighbours along both axes are independent.
    for a, b in ((x[1:], x[:-1]), (x[:, 1:], x[:, :-1])):
        assert abs(float(((a - mean) * (b - mean)).mean()) / variance) < 4 / math.sqrt(n)


@every_distribution
@pytest.mark.parametrize("d_k", [64, 1024])
def test_query_and_key_both_come_from_the_distribution(distribution: Distribution, d_k: int) -> None:
    r"""Of independent components, $E[q·k] = d μ²$ and $Var[q·k] = d (σ⁴ + 2 μ² σ²)$.

    With normal keys instead, the variances would be off by 3 (uniform) or by 1.2 (shifted).
    """
    products = list(scaling.dot_products(64, distribution, 1))[at(d_k)].double()
    mean, variance, *_ = MOMENTS[distribution]
    expected = d_k * (variance**2 + 2 * mean**2 * variance)
    # 1024 queries and as many keys: the mean of their components is 1/√1024 off, twice.
    assert float(products.mean()) == pytest.approx(d_k * mean**2, abs=4 * math.sqrt(expected) * math.sqrt(2 / ROWS))
    assert float(products.var()) == pytest.approx(expected, rel=0.1)


def test_at_width_1_a_product_has_its_distributions_support() -> None:
    first = {d: next(iter(scaling.dot_products(8, d, 2))) for d in get_args(Distribution)}
    assert set(first["rademacher"].unique().tolist()) == {-1.0, 1.0}
    assert float(first["uniform"].abs().max()) <= 1 < float(first["normal"].abs().max())
    # The variance of a product of two uniforms on −1 … 1, one component each: 1/9.
    assert float(first["uniform"].var()) == pytest.approx(1 / 9, rel=0.15)


@every_distribution
@pytest.mark.parametrize("n_keys", [2, 13])
def test_width_d_k_has_d_k_components(distribution: Distribution, n_keys: int) -> None:
    each = list(scaling.dot_products(n_keys, distribution, 3))
    assert len(each) == len(WIDTHS)
    for d_k, products in zip(WIDTHS, each, strict=True):
        assert products.shape == (ROWS, n_keys)
        torch.testing.assert_close(
            products.double(), plain_logits("none", d_k, n_keys, distribution, 3), atol=1e-3, rtol=1e-4
        )


def test_seeds_sets_and_keys_differ() -> None:
    a, b = (list(scaling.dot_products(4, "normal", seed))[at(64)] for seed in (0, 1))
    assert not torch.isclose(a, b).any()
    sets = a.unflatten(0, (SETS, QUERIES))
    assert not torch.isclose(sets[0], sets[1]).any() and not torch.isclose(a[:, 0], a[:, 1]).any()


# ---------------------------------------------------------------------------------------------- what is measured


@every_divisor
@pytest.mark.parametrize(
    ("d_k", "n_keys", "distribution"),
    [(64, 64, "normal"), (1024, 5, "shifted"), (4, 13, "uniform"), (1, 2, "rademacher")],
)
def test_attention_is_the_plain_one(divisor: Divisor, d_k: int, n_keys: int, distribution: Distribution) -> None:
    """Row by row with torch's softmax and its derivative by autograd."""
    rows, i = attend(divisor, n_keys, distribution, 3), at(d_k)
    scores = plain_logits(divisor, d_k, n_keys, distribution, 3)
    weights = torch.softmax(scores, -1)
    assert float(rows.spread[i]) == pytest.approx(float(scores.std()), rel=1e-4)
    assert float(rows.largest[i]) == pytest.approx(sum(max(row) for row in weights.tolist()) / ROWS, rel=1e-4)
    typical = rows.typical[i]
    assert len(typical) == min(n_keys, scaling.TOP) and (typical.diff() <= 0).all()
    assert float(typical[0]) == pytest.approx(float(rows.largest[i]))
    by_rank = weights.sort(descending=True).values.mean(0)[: len(typical)]
    torch.testing.assert_close(by_rank, typical, atol=1e-4, rtol=1e-3)
    drawn = scores - scores.mean() if distribution == "shifted" else scores  # the picture is about their mean
    counted, _ = np.histogram(drawn.numpy(), scaling.BINS, (-scaling.LIMIT, scaling.LIMIT))
    torch.testing.assert_close(rows.histogram[i], torch.from_numpy(counted / scores.numel()), atol=2e-3, rtol=0)
    assert float(rows.histogram[i].sum()) == pytest.approx(
        float((drawn.abs() <= scaling.LIMIT).double().mean()), abs=1e-3
    )
    for row in (0, 17, ROWS - 1):
        jacobian = torch.autograd.functional.jacobian(lambda s: torch.softmax(s, -1), scores[row])
        assert float(rows.jacobian[i, row]) == pytest.approx(float(jacobian.norm()), rel=1e-2, abs=1e-9)


def test_quantiles_and_dead_rows() -> None:
    rows = attend("none")
    low, middle, high = (rows.quantile(q) for q in (0.1, 0.5, 0.9))
    assert (low < middle).all() and (middle < high).all()
    for i, norms in enumerate(rows.jacobian):
        ordered = sorted(norms.tolist())
        # A tenth of the rows lie below the 0.1 quantile, and nine tenths above it.
        assert sum(n < float(low[i]) for n in ordered) == pytest.approx(ROWS / 10, abs=1)
        assert float(rows.dead[i]) == pytest.approx(sum(n < 0.01 for n in ordered) / ROWS)
    assert rows.dead[at(1)] == 0 and (rows.dead[at(8) :].diff() > 0).all() and rows.dead[at(1024)] > 0.5
    assert (attend("sqrt").dead == 0).all()


def test_the_worst_tenth_does_not_cancel() -> None:
    """Written as 1 − p, the norms of saturated rows would be exactly 0."""
    rows = attend("none")
    assert rows.jacobian.dtype == rows.largest.dtype == torch.float64, "measured in float64 throughout"
    worst = rows.quantile(0.1)
    assert (worst > 0).all()
    for d_k, expected in ((128, 1.2e-4), (256, 3.1e-6)):
        assert 0.2 < float(worst[at(d_k)]) / expected < 5
    assert 1e-15 < worst[at(1024)] < 1e-9


def test_results_are_what_is_drawn_and_not_the_megabytes_behind() -> None:
    assert size_of(attend("none", 256)) < 150_000
    assert size_of(scaling.response(512)) < 10_000
    assert size_of(scaling.gradients("none")) < 20_000


# ---------------------------------------------------------------------------------------------- the softmax's answer


@pytest.mark.parametrize("n_keys", [2, 4, 8, 64, 512])
def test_nearly_equal_logits_answer_like_equal_ones(n_keys: int) -> None:
    r"""A uniform row has $\\lVert J \\rVert_F = \\sqrt{N-1}/N$; at σ = 1/16 the norm is off by about σ²."""
    r = scaling.response(n_keys)
    for statistic in (r.mean, r.median):
        assert float(statistic[0]) == pytest.approx(math.sqrt(n_keys - 1) / n_keys, rel=2 / 16**2)


def test_two_keys_answer_as_the_closed_form_says() -> None:
    """2 p (1 − p) with p = 1 / (1 + exp(−σ (z₁ − z₂))): mean, median and tenth over rows, at every spread."""
    r, rows = scaling.response(2, seed=4, rows=1500), 1500
    z = torch.randn(rows, 2, generator=torch.Generator().manual_seed(4)).double()
    for sigma, mean, median, tenth in zip(r.spread, r.mean, r.median, r.tenth, strict=True):
        gap = sigma * (z[:, 0] - z[:, 1])
        norm = 2 * torch.sigmoid(gap) * torch.sigmoid(-gap)
        assert float(mean) == pytest.approx(float(norm.mean()))
        assert float(median) == pytest.approx(float(norm.sort().values[(rows - 1) // 2]))
        assert sum(norm < tenth) == pytest.approx(rows / 10, abs=1)
    # And theory without the draw: the mean tends to 1 / (σ √π).
    assert float(r.mean[-1]) == pytest.approx(1 / (32 * math.sqrt(math.pi)), rel=0.2)


def test_the_spreads_go_from_a_sixteenth_to_32_and_hold_1_and_8() -> None:
    spread = scaling.response(8).spread
    assert spread[0] == 1 / 16 and spread[-1] == 32
    torch.testing.assert_close(spread[1:] / spread[:-1], torch.full((36,), 2 ** (1 / 4), dtype=torch.float64))
    assert {1.0, 8.0} <= set(spread.tolist())


@pytest.mark.parametrize("seed", [0, 5, 9999])
def test_of_few_keys_equal_logits_answer_most_and_of_many_a_spread_does(seed: int) -> None:
    """What the page says over the figure, and its heading."""
    for n_keys in (2, 4):
        assert scaling.response(n_keys, seed).mean.argmax() == 0
    for n_keys in (8, 64, 512):
        r = scaling.response(n_keys, seed)
        peak = int(r.mean.argmax())
        assert 0 < peak < len(r.mean) - 1 and r.mean[peak] > 1.05 * max(r.mean[0], r.mean[-1])
        assert (r.tenth < r.median).all()
    # As large as the norm gets: two equal weights and no others.
    assert float(scaling.response(2, seed).mean.max()) <= 0.5


# ---------------------------------------------------------------------------------------------- gradients and steps


@every_divisor
def test_the_gradients_are_those_of_the_formula(divisor: Divisor) -> None:
    r"""$∂L/∂s = J V u$; the query gets $K^⊤ ∂L/∂s$, the keys $∂L/∂s\,q^⊤$, both divided; the values $p u^⊤$."""
    d_k, n_keys, rows = 16, 8, 5
    found = scaling.gradients(divisor, d_k, n_keys, rows, seed=6)
    g = torch.Generator().manual_seed(6)
    q, k, v = (torch.randn(rows, n, d, generator=g).double() for n, d in ((1, d_k), (n_keys, d_k), (n_keys, 8)))
    u = torch.randn(rows, 1, 8, generator=g).double()
    for row in range(rows):
        s = k[row] @ q[row, 0] / d_k ** DIVIDE[divisor]
        p = torch.softmax(s, -1)
        passed = (torch.diag(p) - torch.outer(p, p)) @ v[row] @ u[row, 0] / u[row].norm() / d_k ** DIVIDE[divisor]
        assert float(found.favourite[row]) == pytest.approx(float(p.max()))
        assert float(found.query[row]) == pytest.approx(float((passed @ k[row]).norm()), rel=1e-6)
        assert float(found.key[row]) == pytest.approx(float(passed.norm() * q[row].norm()), rel=1e-6)
        assert float(found.value[row]) == pytest.approx(float(p.norm()), rel=1e-6)


@pytest.mark.parametrize(
    ("init", "theory"), [("multihead", 1 / 4), ("linear", 1 / 9), ("gpt2", (768 * 0.02**2) ** 2), ("lecun", 1)]
)
def test_a_fresh_module_starts_with_the_variance_of_theory(init: Init, theory: float) -> None:
    before = torch.get_rng_state()
    draws = [scaling.initial_logit_variance(init, seed) for seed in (11, 12, 13)]
    assert torch.equal(torch.get_rng_state(), before), "nobody else’s random numbers change"
    error = math.sqrt(8 / (768 * scaling.TOKENS) / 3)
    assert sum(draws) / 3 == pytest.approx(theory, rel=4 * error)
    assert len(set(draws)) == 3 and draws[0] == scaling.initial_logit_variance(init, 11)


def test_the_logits_of_a_fresh_module_are_those_of_its_heads() -> None:
    """Head by head with the rows of the packed matrix; other ways to cut it have the same variance in theory only."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(11)
        asks, is_asked = torch.randn(2, scaling.TOKENS, 768)
        w_q, w_k, _ = torch.nn.MultiheadAttention(768, 12).in_proj_weight.chunk(3)
    heads = zip(w_q.split(64), w_k.split(64), strict=True)
    scores = torch.stack([(asks @ q.T) @ (is_asked @ k.T).T / 8 for q, k in heads]).detach()
    assert scaling.initial_logit_variance("multihead", 11) == pytest.approx(float(scores.var()), rel=1e-4)


def test_a_gradients_own_step_is_that_of_the_textbook() -> None:
    """At a width whose root float32 does not hold, drawn in float64."""
    g, root = torch.Generator().manual_seed(3), math.sqrt(10)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    w_q, w_k = (normal(10, 10) / root).requires_grad_(), normal(10, 10) / root
    x, value = normal(64, 16, 10), normal(64, 16, 16)
    scores = (x[:, :1] @ w_q) @ (x @ w_k).mT / root
    loss = torch.nn.functional.mse_loss((scores.softmax(-1) @ value)[:, 0], value[:, 0])
    step = float(torch.autograd.grad(loss, w_q)[0].norm())
    assert scaling.first_step(False, "sgd", 10, seed=3) == pytest.approx(step / root, rel=1e-10)
    assert scaling.first_step(True, "sgd", 10, seed=3) == pytest.approx(step * root, rel=1e-10)


@pytest.mark.parametrize("d_k", [16, 64])
def test_folded_the_first_step_reaches_farther(d_k: int) -> None:
    """Adam's is ±0.001 in every entry of W_Q; a gradient's own step differs by √d_k once more."""
    adam, sgd = ({f: scaling.first_step(f, o, d_k, seed=3) for f in (True, False)} for o in ("adam", "sgd"))
    assert adam[True] == pytest.approx(0.001 * d_k, rel=1e-3)
    assert adam[True] / adam[False] == pytest.approx(math.sqrt(d_k), rel=1e-3)
    assert sgd[True] / sgd[False] == pytest.approx(d_k, rel=1e-9)


# ---------------------------------------------------------------------------------------------- what is said


def test_every_share_among_the_predictions_is_one_that_is_measured() -> None:
    """Right and wrong options say the numbers of the figure, as they are rounded there."""
    assert concept.prediction is not None
    said = [o.text for o in concept.prediction.options][:3]
    measured = (attend("sqrt").largest[at(512)], attend("none").largest[at(64)], attend("none").largest[at(512)])
    assert said == [percent(float(share)).replace("\u00a0", " ") for share in measured]
    right = concept.prediction.options[concept.prediction.right(concept.prediction.experiment())]
    assert right.text in f"about {said[-1]}" and said[-1] in concept.prediction.outcome(float(measured[-1])).replace(
        "\u00a0", " "
    )
    # “At width 512 the logits are √8 times as far apart”, “the logits have standard deviation 23”.
    wide, narrow = (float(attend("none").spread[at(d)]) for d in (512, 64))
    assert wide / narrow == pytest.approx(8**0.5, rel=0.05) and round(wide) == 23
    # “Nearly all of the weight in most rows, though not in all”, “in some rows two keys happen to be close”.
    favourites = plain_logits("none", 512, 64, "normal", 0).softmax(-1).sort(descending=True).values
    assert 0.6 < float((favourites[:, 0] > 0.95).double().mean()) < 0.99
    assert 0.01 < float((favourites[:, 1] > 0.2).double().mean()) < 0.2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_said_of_random_keys_holds_for_other_seeds(seed: int) -> None:
    without, scaled, i = attend("none", seed=seed), attend("sqrt", seed=seed), at(64)
    assert without.largest[i] > 0.7 and 0.09 < scaled.largest[i] < 0.12
    assert 1.03 < without.jacobian[i].mean() / scaled.jacobian[i].mean() < 1.4
    assert without.quantile(0.1)[i] / scaled.quantile(0.1)[i] < 0.05
    assert without.quantile(0.9)[i] / scaled.quantile(0.9)[i] > 1.5 and without.dead[i] > 0.1
    loose, tight = (scaling.gradients(d, seed=seed) for d in ("none", "sqrt"))
    rows = loose.favourite >= loose.favourite.quantile(0.9)
    for name in ("query", "key"):
        assert getattr(loose, name)[rows].mean() / getattr(tight, name)[rows].mean() < 0.07
    assert loose.value[rows].min() > 0.99


def test_the_widths_double() -> None:
    assert WIDTHS[0] == 1 and all(b == 2 * a for a, b in itertools.pairwise(WIDTHS))
    assert [at(d) for d in WIDTHS] == list(range(len(WIDTHS)))
