"""Question 17's equations and experiments against torch and against plain arithmetic."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.experiments import warmup as experiments
from core.ops import schedules
from core.ops.adam import adam_step
from core.training.pre_post_norm import learning_rate

few = settings(deadline=None, derandomize=True, max_examples=50)
SHAPES = pytest.mark.parametrize("shape", experiments.SHAPES)


# ---------------------------------------------------------------------------------------------- schedules


@few
@given(st.integers(1, 400), st.integers(1, 4096), st.integers(1, 3000))
def test_the_transformers_schedule_is_its_formula(warmup: int, width: int, step: int) -> None:
    ours = schedules.transformer(step, warmup, width)
    expected = (step / warmup if step < warmup else math.sqrt(warmup / step)) / math.sqrt(width * warmup)
    assert ours == pytest.approx(expected, rel=1e-12)
    assert ours <= schedules.transformer(warmup, warmup, width) == pytest.approx((width * warmup) ** -0.5, rel=1e-12)


def test_its_peak_in_the_paper() -> None:
    assert schedules.transformer(4000, 4000, 512) == pytest.approx(6.98771e-4, rel=1e-5)
    assert schedules.transformer(4000, 4000, 1024) == pytest.approx(4.94106e-4, rel=1e-5)
    assert schedules.transformer(100_000, 4000, 512) / schedules.transformer(4000, 4000, 512) == pytest.approx(0.2)


@few
@given(st.integers(0, 60), st.integers(61, 400), st.integers(0, 500), st.integers(1, 40))
def test_the_shares_are_shares(warmup: int, total: int, step: int, decay: int) -> None:
    """Between 0 and 1, rising like t/w, 1 at w, 0 from the end on; those that fall do not rise again."""
    decay = min(decay, total - warmup)
    for share in (
        lambda t: schedules.linear(t, warmup, total),
        lambda t: schedules.cosine(t, warmup, total),
        lambda t: schedules.stable(t, warmup, decay, total),
    ):
        assert 0 <= share(step) <= 1
        assert share(warmup) == 1 or warmup == total - decay
        assert share(total) == share(total + 7) == 0
        if step < warmup:
            assert share(step) == step / warmup
        else:
            assert share(step + 1) <= share(step)


def test_half_way_down() -> None:
    assert schedules.linear(150, 100, 200) == schedules.cosine(150, 100, 200) == pytest.approx(0.5)
    assert schedules.linear(125, 100, 200) == 0.75
    assert schedules.cosine(125, 100, 200) == pytest.approx((2 + math.sqrt(2)) / 4)
    assert schedules.stable(139, 100, 60, 200) == 1 and schedules.stable(170, 100, 60, 200) == pytest.approx(0.5)
    assert schedules.inverse_square_root(400, 100) == 0.5


@pytest.mark.parametrize("warmup", [1, 7, 100, 899, 900])
def test_our_schedules_are_the_fields_to_the_last_bit(warmup: int) -> None:
    assert set(experiments.bits_apart(warmup, total=1000, decay=100).values()) == {0.0}


def test_hugging_faces_own_schedulers_set_our_rates() -> None:
    """The formulas typed by hand in the experiment are theirs, where their package is at hand."""
    of = pytest.importorskip("transformers.optimization")

    def theirs(make, *arguments) -> list[float]:
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        return experiments._run(optimiser, make(optimiser, *arguments), 90)

    assert theirs(of.get_linear_schedule_with_warmup, 10, 90) == [schedules.linear(s, 10, 90) for s in range(90)]
    assert theirs(of.get_cosine_schedule_with_warmup, 10, 90) == [schedules.cosine(s, 10, 90) for s in range(90)]


def test_counted_wrongly_every_one_of_them_differs() -> None:
    assert min(experiments.bits_apart(100, total=1000, decay=100, off=1).values()) > 1e-6


@SHAPES
def test_lambda_lr_sets_what_the_function_says(shape: experiments.Shape) -> None:
    share = experiments.share_of(shape, 5, 40, 10)
    assert experiments.by_torch(share, 60, peak=0.5) == [0.5 * share(t) for t in range(60)]


@few
@given(st.integers(2, 60), st.integers(62, 200))
def test_torchs_own_schedulers_count_from_1_if_they_rise_one_step_less(warmup: int, total: int) -> None:
    right, late = (experiments.torchs_own(warmup, total, warmup - 1 + more, total) for more in (0, 1))
    ours = [schedules.cosine(t, warmup, total) for t in range(1, total + 1)]
    assert max(abs(a - b) for a, b in zip(right, ours, strict=True)) < 1e-13
    assert max(abs(a - b) for a, b in zip(late, ours, strict=True)) > 1e-5
    assert late.index(max(late)) == right.index(max(right)) + 1 or warmup == 2


def test_linear_lr_does_not_begin_at_0() -> None:
    assert experiments.linear_lr_refuses(0.0) and not experiments.linear_lr_refuses(1e-9)


def test_the_training_warms_up_as_the_schedule_does() -> None:
    for step in (1, 2, 199, 200, 201, 500):
        assert learning_rate(step, 0.008, 200) == 0.008 * min(1.0, step / 200)


def test_what_is_no_schedule_is_refused() -> None:
    for wrong in (
        lambda: schedules.transformer(0, 10, 8),
        lambda: schedules.transformer(1, 0, 8),
        lambda: schedules.transformer(1, 10, 0),
        lambda: schedules.inverse_square_root(1, 0),
        lambda: schedules.linear(-1, 10, 20),
        lambda: schedules.linear(1, -1, 20),
        lambda: schedules.linear(1, 20, 20),
        lambda: schedules.cosine(1, 30, 20),
        lambda: schedules.stable(1, 15, 6, 20),
        lambda: schedules.rule_of_thumb(1.0),
        lambda: schedules.degrees_of_freedom(0, 0.9),
        lambda: schedules.degrees_of_freedom(1, 1.0),
        lambda: schedules.rectification(9, 0.9, above=3.0),
    ):
        with pytest.raises(ValueError, match=r"steps?|Step|warm-up|β₂|ρ"):
            wrong()


# ---------------------------------------------------------------------------------------------- RAdam


@pytest.mark.parametrize("beta_2", [0.9, 0.98, 0.999])
def test_the_rectification_is_torchs(beta_2: float) -> None:
    """A gradient of 1 has m̂ = v̂ = 1: RAdam's step is r_t where it divides, and 1 where it does not."""
    ours = [schedules.rectification(t, beta_2, above=5.0) for t in range(1, 301)]
    expected = torch.tensor([1.0 if r is None else r for r in ours], dtype=torch.float64)
    torch.testing.assert_close(
        torch.tensor(experiments.radam_steps(beta_2, 300), dtype=torch.float64), expected, rtol=1e-9, atol=1e-9
    )


def test_the_paper_switches_one_step_earlier_than_torch() -> None:
    for beta_2 in experiments.BETAS_2:
        assert (experiments.switches(beta_2), experiments.switches(beta_2, above=5.0)) == (5, 6)
    assert schedules.rectification(5, 0.999) == pytest.approx(0.0173, abs=5e-5)
    assert schedules.rectification(6, 0.999) == pytest.approx(0.025821, abs=5e-7)
    assert schedules.degrees_of_freedom(10**6, 0.999) == pytest.approx(1999)
    rectified = experiments.rectified(0.999)
    assert rectified[:4].isnan().all() and (rectified[4:].diff() > 0).all() and float(rectified[-1]) < 1


# ---------------------------------------------------------------------------------------------- Adam's first steps


@pytest.mark.parametrize(("beta_1", "beta_2"), [(0.9, 0.999), (0.0, 0.9), (0.95, 0.98)])
def test_the_steps_on_noise_are_adams(beta_1: float, beta_2: float) -> None:
    """All averages at once give what the loop gives step by step."""
    gradient = experiments._noise(0)
    weight = first = second = torch.zeros(experiments.WEIGHTS, dtype=torch.float64)
    found = experiments.noise_steps(beta_1, beta_2)
    for step in range(1, 101):
        before = weight
        weight, first, second = adam_step(weight, gradient[step - 1], first, second, step, 1.0, (beta_1, beta_2))
        if step in experiments.AT:
            i = experiments.AT.index(step)
            moved = (weight - before).abs()
            assert float(found.update[i]) == pytest.approx(float(moved.mean()), rel=1e-9)
            rate = 1 / ((second / (1 - beta_2**step)).sqrt() + 1e-8)
            spread = float(rate.quantile(0.99) / rate.median())
            assert float(found.spread[i]) == pytest.approx(spread, rel=1e-9)
            assert float(found.error[i]) == pytest.approx(float(moved.std()) / math.sqrt(2048), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("beta_1", [0.0, 0.8, 0.9])
def test_late_steps_on_noise_are_as_long_as_the_formula_says(beta_1: float) -> None:
    found = experiments.noise_steps(beta_1, 0.999)
    floor = experiments.noise_floor(beta_1)
    for i in (-1, -2, -3):
        assert float(found.update[i]) == pytest.approx(floor, abs=4 * float(found.error[i]) + 0.01 * floor)
    assert experiments.noise_floor(0.9) == pytest.approx(0.183, abs=5e-4)
    assert experiments.noise_floor(0.0) == pytest.approx(math.sqrt(2 / math.pi))


def test_the_first_step_is_the_learning_rate_and_sgds_is_the_gradient() -> None:
    for gradient in (1e-5, -3.0, 1e4):
        assert experiments.first_step(gradient) == pytest.approx(1, rel=2e-3)
        assert experiments.first_step(gradient, "sgd") == pytest.approx(abs(gradient))
    assert experiments.first_step(1.0, warmup=200) == pytest.approx(1 / 200, rel=1e-6)
    assert experiments.first_step(1e-8) == pytest.approx(0.5, rel=1e-3), "at ε it is half"


def test_weights_wander_less_far_with_a_warm_up() -> None:
    short, longer = (experiments.wander(0.01, 200, n) / experiments.wander(0.01, 0, n) for n in (20, 300))
    assert 0 < short < longer < 1
    assert experiments.wander(0.02, 50, 10) == pytest.approx(2 * experiments.wander(0.01, 50, 10), rel=1e-6)
    assert experiments.wander(0.01, 0, 1) == pytest.approx(0.01, rel=1e-5)
