"""Question 19: the equations against torch in float64, and the experiments against other ways to the same numbers."""

import math
from statistics import NormalDist

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from core.concepts.gelu import chance_below, concept, jump, share_reached, share_silent
from core.experiments import gelu as experiment
from core.memory import size_of
from core.ops import activations as ops
from core.training import gelu as training

X = torch.linspace(-9, 9, 721, dtype=torch.float64)
real = st.floats(-8, 8)
quick = settings(deadline=None, derandomize=True, max_examples=50)


def at(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- equations


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (ops.gelu, F.gelu),
        (ops.gelu_tanh, lambda x: F.gelu(x, approximate="tanh")),
        (ops.silu, F.silu),
        (ops.gelu_sigmoid, lambda x: F.silu(1.702 * x) / 1.702),
        (ops.relu_squared, lambda x: F.relu(x).square()),
        (ops.normal_cdf, torch.special.ndtr),
        (ops.normal_density, lambda x: torch.distributions.Normal(0.0, 1.0).log_prob(x).exp()),
    ],
)
def test_equations_are_torchs(ours, torchs) -> None:
    torch.testing.assert_close(ours(X), torchs(X), rtol=1e-10, atol=1e-15)


@quick
@given(real, st.floats(0.05, 3))
def test_the_slope_is_the_derivative(x: float, sigma: float) -> None:
    found = torch.autograd.functional.jacobian(lambda z: ops.gelu(z, sigma), at(x))[0]
    assert float(ops.gelu_slope(at(x), sigma)) == pytest.approx(float(found), abs=1e-12)


@quick
@given(real)
def test_keeping_and_dropping_add_up(x: float) -> None:
    """GELU(x) − GELU(−x) = x, and Φ is that of Python's own normal distribution."""
    assert float(ops.gelu(at(x)) - ops.gelu(at(-x))) == pytest.approx(x, abs=1e-12)
    assert float(ops.normal_cdf(at(x))) == pytest.approx(NormalDist().cdf(x), abs=1e-12)


@quick
@given(real, st.floats(0.05, 3))
def test_a_width_only_rescales(x: float, sigma: float) -> None:
    assert float(ops.gelu(at(sigma * x), sigma)) == pytest.approx(sigma * float(ops.gelu(at(x))), abs=1e-12)


def test_far_below_0_nothing_cancels() -> None:
    """x Φ(x) → −φ(x) (1 − 1/x² + 3/x⁴ − …), which is right to 15/x⁶ of it."""
    x = torch.tensor([-20.0, -30.0], dtype=torch.float64)
    tail = -torch.exp(-0.5 * x**2) / math.sqrt(2 * math.pi) * (1 - 1 / x**2 + 3 / x**4)
    torch.testing.assert_close(ops.gelu(x), tail, rtol=15 / 20**6, atol=0)


@pytest.mark.parametrize("function", [ops.gelu, ops.gelu_slope])
@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_a_width_that_is_none_is_refused(function, sigma: float) -> None:
    with pytest.raises(ValueError, match="positive width"):
        function(X, sigma)


def test_a_gate_multiplies() -> None:
    x, up = torch.randn(2, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(ops.gated(F.gelu(x), up), F.gelu(x) * up)
    torch.testing.assert_close(experiment.gate("silu", x, up), F.silu(x) * up)
    torch.testing.assert_close(experiment.gate("relu", x, x), ops.relu_squared(x))
    torch.testing.assert_close(experiment.gate("exact", x, 2.0), 2 * F.gelu(x))


# ---------------------------------------------------------------------------------------------- 0 or 1, drawn


@pytest.mark.parametrize("seed", [0, 7])
def test_draws_are_masks_that_are_counted(seed: int) -> None:
    found = experiment.draws(seed)
    uniform = torch.rand(51, 5000, generator=torch.Generator().manual_seed(seed))
    for row, x in enumerate(found.x.tolist()):
        assert x == pytest.approx(-3 + row / 10)
        masks = [u < NormalDist().cdf(x) for u in uniform[row, :500].tolist()]
        for i, n in enumerate(experiment.COUNTS[:9]):
            assert float(found.mean[i, row]) == pytest.approx(x * sum(masks[:n]) / n, abs=1e-12)
    torch.testing.assert_close(found.value, F.gelu(found.x))
    assert size_of(found) < 20_000


def test_one_draw_keeps_or_drops_and_many_settle() -> None:
    found = experiment.draws(3)
    kept = (found.mean[0] == found.x) | (found.mean[0] == 0)
    assert (
        kept.all()
        and ((found.mean[0] == found.x) & (found.x > 0)).any()
        and ((found.mean[0] == 0) & (found.x > 0)).any()
    )
    off = ((found.mean - found.value) / found.error.clamp_min(1e-12))[-1]
    assert float(off.abs().max()) < 4 and 0.5 < float((off.abs() < 1).double().mean()) < 0.9
    share = torch.special.ndtr(found.x)
    for i, n in enumerate(experiment.COUNTS):
        torch.testing.assert_close(found.error[i] ** 2, found.x**2 * share * (1 - share) / n)


def test_dropouts_chance_is_one_for_all() -> None:
    half = experiment.draws(3, "half")
    torch.testing.assert_close(half.mean[-1], half.x / 2, atol=4 * 1.5 / math.sqrt(5000), rtol=0)
    assert not torch.allclose(half.mean[-1], half.value, atol=0.1)


# ---------------------------------------------------------------------------------------------- curves


def test_the_dip_and_the_steepest_place() -> None:
    """Where GELU′ and GELU″ are 0: Φ(x) + x φ(x) = 0 by halving, and 2 = x²."""
    low, high = -1.0, -0.5
    for _ in range(60):
        middle = (low + high) / 2
        rising = NormalDist().cdf(middle) + middle * NormalDist().pdf(middle) > 0
        low, high = (low, middle) if rising else (middle, high)
    for sigma in (0.05, 0.5, 1.0, 2.0):
        found = experiment.extremes(sigma)
        assert found.lowest[0] == pytest.approx(sigma * low, abs=1e-4 * sigma)
        assert found.lowest[1] == pytest.approx(sigma * low * NormalDist().cdf(low), rel=1e-6)
        assert found.steepest[0] == pytest.approx(sigma * math.sqrt(2), abs=1e-4 * sigma)
        assert found.steepest[1] == pytest.approx(
            NormalDist().cdf(math.sqrt(2)) + math.sqrt(2) * NormalDist().pdf(math.sqrt(2))
        )


@pytest.mark.parametrize(
    ("form", "worst", "where"),
    [("tanh", 4.732e-4, 2.699), ("sigmoid", 0.020335, 2.270), ("relu", 0.169971, 0.7518), ("exact", 0, 4), ("relu2", 12.0001, 4)],
)  # fmt: skip
def test_how_far_a_relative_is(form: training.Form, worst: float, where: float) -> None:
    found = experiment.relative(form)
    assert found.worst == pytest.approx(worst, rel=1e-3, abs=1e-12) and abs(found.worst_at) == pytest.approx(
        where, abs=2e-3
    )
    torch.testing.assert_close(found.exact, F.gelu(found.x))
    torch.testing.assert_close(found.error, training.FORMS[form](found.x) - F.gelu(found.x))
    assert float(found.error.abs().max()) <= found.worst and size_of(found) < 20_000


def test_slopes_by_autograd() -> None:
    x = torch.tensor([-1.0, -0.5, 0.0, 0.5], dtype=torch.float64)
    assert experiment.slope("relu", x).tolist() == [0, 0, 0, 1]
    torch.testing.assert_close(experiment.slope("exact", x), ops.gelu_slope(x))
    assert not x.requires_grad
    assert jump("relu") == 1 and 0 < jump("exact") < 2e-6


# ---------------------------------------------------------------------------------------------- numbers


def test_the_sum_cancels_and_erfc_does_not() -> None:
    x, by_erf = experiment.relative_error("erf")
    _, by_erfc = experiment.relative_error("erfc")
    assert x[0] == -8 and float(x[-1]) == pytest.approx(-0.05) and (x.diff() > 0).all()
    assert (by_erf[x < -6] > 0.5).all() and (by_erfc < 1e-5).all() and (by_erf[x > -2] < 1e-4).all()
    six = int((x + 6).abs().argmin())
    plain = -3 * (1 + torch.erf(torch.tensor(-6 / math.sqrt(2), dtype=torch.float32)))
    assert float(by_erf[six]) == pytest.approx(abs(float(plain) / float(F.gelu(at(-6.0))) - 1), rel=0.1)
    assert float(experiment.relative_error("erf", "float64")[1].max()) < 1e-1
    assert float(experiment.relative_error("erfc", "bfloat16")[1][six]) > 1e-3
    # Whatever torch's own function does there, its values are right by themselves.
    assert float((experiment.relative_error("torch")[1] * F.gelu(x)).abs().max()) < 1e-6


@pytest.mark.parametrize("x", [41.0, 148.0, 300.0, -148.0])
def test_float16_loses_the_slope_alone(x: float) -> None:
    power, factored, own = (experiment.in_float16(x, way) for way in ("power", "factored", "torch"))
    assert math.isinf(power.cube) and power.value == factored.value == own.value == max(x, 0)
    assert math.isnan(power.slope) == (abs(x) >= 148)
    assert factored.slope == own.slope == float(x > 0)
    wide = experiment.in_float16(x, "power", "bfloat16")
    assert math.isfinite(wide.cube) and wide.slope == float(x > 0)


# ---------------------------------------------------------------------------------------------- trained


def test_a_checkpoint_runs_with_its_own_form_best() -> None:
    found = experiment.swapped()
    own, tanh, rough, square = (found[form] for form in ("exact", "tanh", "sigmoid", "relu2"))
    assert own["moved"] == own["changed"] == 0 and own["right"] > 0.99
    assert 0 < tanh["moved"] < rough["moved"] < square["moved"] and tanh["changed"] == 0 < square["changed"]
    assert square["right"] < own["right"] and square["loss"] > own["loss"]


def test_shares_are_pooled_over_the_seeds() -> None:
    for form in training.TRAINED:
        ends = training.ends(form, 0.01)
        assert share_silent(form, 0.01) == pytest.approx(sum(e["silent"] for e in ends) / (5 * 512))
        assert share_reached(form, 0.01) == sum(e["reached"] for e in ends) / sum(e["silent"] for e in ends)
    assert share_reached("exact", 0.001) == 0, "of none, none"


# ---------------------------------------------------------------------------------------------- what is said


def test_the_chance_is_added_up_from_the_density() -> None:
    x = experiment.inputs()
    expected = torch.tensor([NormalDist().cdf(v) for v in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(chance_below(x), expected, atol=1e-7, rtol=0)


def test_the_wrong_predictions_are_numbers_of_the_same_place() -> None:
    assert concept.prediction is not None
    said = [option.text for option in concept.prediction.options]
    assert said[1] == f"{float(ops.gelu_slope(at(-0.5))):.2f}" and said[2] == f"{float(ops.normal_cdf(at(-0.5))):.2f}"


def test_the_counts_in_the_pushback_are_those_of_the_runs() -> None:
    said = " ".join(p.answer for p in concept.push_backs)
    kept = [end["with"]["relu"]["changed"] == 0 for rate in training.RATES for end in training.ends("exact", rate)]
    assert len(kept) == 15 and sum(kept) == 8 and "ReLU in GELU’s place changed none in 8 of them" in said
    assert not any(end["with"]["tanh"]["changed"] for rate in training.RATES for end in training.ends("exact", rate))
