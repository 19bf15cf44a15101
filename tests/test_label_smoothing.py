"""Question 16's equations and experiments against torch and against plain arithmetic."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from core.experiments import label_smoothing as smoothing
from core.ops import losses
from core.ops.losses import Convention
from core.training import label_smoothing as training

CONVENTIONS: tuple[Convention, ...] = ("all", "wrong")
every_convention = pytest.mark.parametrize("convention", CONVENTIONS)
few = settings(deadline=None, derandomize=True, max_examples=50)


def drawn(rows: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(rows, classes, generator=g, dtype=torch.float64)
    return logits, torch.randint(0, classes, (rows,), generator=g)


# ---------------------------------------------------------------------------------------------- targets


@few
@given(st.integers(2, 40), st.floats(0, 1), st.integers(0, 99))
def test_a_target_is_the_hard_one_mixed_with_the_even_one(classes: int, epsilon: float, seed: int) -> None:
    _, answer = drawn(5, classes, seed)
    hard = F.one_hot(answer, classes).double()
    over_all = (1 - epsilon) * hard + epsilon * torch.full_like(hard, 1 / classes)
    over_wrong = (1 - epsilon) * hard + epsilon * (1 - hard) / (classes - 1)
    torch.testing.assert_close(losses.smoothed(answer, classes, epsilon), over_all, atol=1e-14, rtol=0)
    torch.testing.assert_close(losses.smoothed(answer, classes, epsilon, "wrong"), over_wrong, atol=1e-14, rtol=0)


@few
@given(st.integers(2, 40), st.floats(0, 1))
def test_both_conventions_are_one_family(classes: int, epsilon: float) -> None:
    """ε over the wrong ones is ε K/(K−1) over all, where that is no more than 1."""
    wider = epsilon * classes / (classes - 1)
    if wider <= 1:
        one = torch.tensor(1)
        torch.testing.assert_close(
            losses.smoothed(one, classes, epsilon, "wrong"), losses.smoothed(one, classes, wider)
        )


def test_what_is_no_target_is_refused() -> None:
    for classes, epsilon in ((1, 0.1), (3, -0.1), (3, 1.1), (3, math.nan)):
        with pytest.raises(ValueError, match=r"ε is a share|at least 2 classes"):
            losses.smoothed(torch.tensor(0), classes, epsilon)


# ---------------------------------------------------------------------------------------------- losses


@few
@given(st.integers(2, 12), st.floats(0, 1), st.booleans(), st.booleans(), st.integers(0, 99))
def test_the_smoothed_loss_is_torchs(classes: int, epsilon: float, weighted: bool, padded: bool, seed: int) -> None:
    logits, answer = drawn(9, classes, seed)
    weight = torch.rand(classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    ignore = 1 if padded else -100
    if not (answer != ignore).any():
        return
    weight_ = weight if weighted else None
    ours = losses.smoothed_loss(logits, answer, epsilon, weight_, ignore)
    theirs = F.cross_entropy(logits, answer, weight_, ignore_index=ignore, label_smoothing=epsilon)
    torch.testing.assert_close(ours, theirs)


def test_with_nothing_left_the_loss_is_no_number_as_in_torch() -> None:
    logits, answer = drawn(3, 4, 0)[0], torch.full((3,), -100)
    assert losses.smoothed_loss(logits, answer, 0.1).isnan() and F.cross_entropy(logits, answer).isnan()


@few
@given(st.integers(2, 12), st.floats(0, 1), st.integers(0, 99), st.sampled_from(CONVENTIONS))
def test_loss_divergence_and_entropy_are_torchs(
    classes: int, epsilon: float, seed: int, convention: Convention
) -> None:
    logits, answer = drawn(6, classes, seed)
    q = losses.smoothed(answer, classes, epsilon, convention)
    torch.testing.assert_close(losses.log_softmax(logits), logits.log_softmax(-1))
    torch.testing.assert_close(losses.cross_entropy(q, logits).mean(), F.cross_entropy(logits, q))
    torch.testing.assert_close(losses.entropy(q), torch.distributions.Categorical(q).entropy(), atol=1e-9, rtol=1e-6)
    kl = F.kl_div(logits.log_softmax(-1), q, reduction="none").sum(-1)
    torch.testing.assert_close(losses.divergence(q, logits), kl, atol=1e-10, rtol=1e-7)
    assert (losses.divergence(q, logits) > -1e-12).all()
    if 0 < epsilon < 1:
        torch.testing.assert_close(losses.divergence(q, logits, safe=False), kl, atol=1e-10, rtol=1e-7)


def test_a_probability_that_is_rounded_to_0_has_a_finite_logarithm() -> None:
    far = torch.tensor([0.0, -2000.0], dtype=torch.float64)
    assert losses.log_softmax(far).tolist() == [0, -2000]
    hard = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert losses.divergence(hard, far) == 0 and losses.divergence(hard, far, safe=False).isnan()
    assert losses.entropy(torch.full((8,), 1 / 8)).item() == pytest.approx(math.log(8))


def test_the_calibration_error_of_a_table() -> None:
    """Two bins: 0.9 sure and 0.7 right, with three quarters of the answers; 0.5 and 0.6 with the rest."""
    confidence, right, share = (torch.tensor(x) for x in ((0.9, 0.5), (0.7, 0.6), (0.75, 0.25)))
    assert float(losses.calibration_error(confidence, right, share)) == pytest.approx(0.75 * 0.2 + 0.25 * 0.1)


# ---------------------------------------------------------------------------------------------- the best gap


@few
@given(st.integers(2, 50), st.floats(0.01, 0.99), st.sampled_from(CONVENTIONS))
def test_at_the_best_gap_the_outputs_are_the_target(classes: int, epsilon: float, convention: Convention) -> None:
    logits = torch.zeros(classes, dtype=torch.float64)
    logits[0] = losses.best_gap(classes, epsilon, convention)
    target = losses.smoothed(torch.tensor(0), classes, epsilon, convention)
    torch.testing.assert_close(logits.softmax(-1), target, atol=1e-12, rtol=0)
    formula = (
        (1 - epsilon + epsilon / classes) / (epsilon / classes)
        if convention == "all"
        else (1 - epsilon) * (classes - 1) / epsilon
    )
    assert float(logits[0]) == pytest.approx(math.log(formula), abs=1e-9)


@few
@given(st.integers(2, 50), st.floats(0.01, 0.99), st.integers(0, 99))
def test_the_two_formulas_that_the_page_says(classes: int, epsilon: float, seed: int) -> None:
    """The gradient p − q, and the best gap log(1 + K(1 − ε)/ε)."""
    logits, answer = drawn(1, classes, seed)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, answer, label_smoothing=epsilon), logits)
    target = losses.smoothed(answer, classes, epsilon)
    torch.testing.assert_close(gradient, logits.detach().softmax(-1) - target, atol=1e-12, rtol=0)
    assert losses.best_gap(classes, epsilon) == pytest.approx(math.log(1 + classes * (1 - epsilon) / epsilon), abs=1e-9)


def test_the_ends_of_the_gap() -> None:
    assert losses.best_gap(10, 0.0) == losses.best_gap(10, 0.0, "wrong") == math.inf
    assert losses.best_gap(10, 1.0) == pytest.approx(0, abs=1e-12) and losses.best_gap(10, 1.0, "wrong") == -math.inf


@every_convention
@pytest.mark.parametrize(("classes", "epsilon"), [(2, 0.1), (10, 0.3), (37_000, 0.1)])
def test_the_curve_is_torchs_loss_and_least_at_the_best(classes: int, epsilon: float, convention: Convention) -> None:
    found = smoothing.best(classes, epsilon, convention)
    gaps = (0.0, found.gap - 0.1, found.gap, found.gap + 0.1, 9.0)
    curve = smoothing.loss_of_gap(classes, epsilon, convention, gaps)
    logits = torch.zeros(len(gaps), classes, dtype=torch.float64)
    logits[:, 0] = torch.tensor(gaps, dtype=torch.float64)
    target = losses.smoothed(torch.zeros(len(gaps), dtype=torch.long), classes, epsilon, convention)
    torch.testing.assert_close(curve, -(target * logits.log_softmax(-1)).sum(-1))
    assert curve[2] < curve[1] and curve[2] < curve[3]
    assert float(curve[2]) == pytest.approx(found.loss) == pytest.approx(smoothing.floor(classes, epsilon, convention))
    assert found.gradient < 1e-13
    assert found.probability == pytest.approx(float(target[0, 0])) and found.plain == pytest.approx(
        -math.log(target[0, 0])
    )


def test_the_numbers_of_the_facts() -> None:
    assert smoothing.best(10, 0.1).gap == pytest.approx(4.5109, abs=1e-4)
    assert smoothing.best(10, 0.1, "wrong").gap == pytest.approx(4.3944, abs=1e-4)
    assert smoothing.floor(10, 0.1) == pytest.approx(0.50029, abs=1e-5)
    assert smoothing.floor(10, 0.1, "wrong") == pytest.approx(0.54481, abs=1e-5)
    assert smoothing.floor(37_000, 0.1) == pytest.approx(1.37691, abs=1e-5)
    assert vars(smoothing.best(10, 0.0)) == {"gap": math.inf, "loss": 0, "probability": 1, "gradient": 0, "plain": 0}


@pytest.mark.parametrize(("epsilon", "classes", "rate"), [(0.0, 10, 1.0), (0.1, 10, 1.0), (0.3, 3, 0.5)])
def test_descent_takes_the_steps_of_torch(epsilon: float, classes: int, rate: float) -> None:
    logits = torch.zeros(1, classes, dtype=torch.float64, requires_grad=True)
    for _ in range(40):
        loss = F.cross_entropy(logits, torch.tensor([0]), label_smoothing=epsilon)
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - rate * gradient).detach().requires_grad_()
    assert smoothing.descend(epsilon, classes, 40, rate) == pytest.approx(
        float((logits[0, 0] - logits[0, 1]).detach()), abs=1e-12
    )


def test_smoothed_descent_stops_and_hard_descent_grows_like_a_logarithm() -> None:
    assert smoothing.descend(0.1, 10, 5000) == pytest.approx(losses.best_gap(10, 0.1), abs=1e-9)
    a, b, c = (smoothing.descend(0.0, 10, t) for t in (100, 1000, 10_000))
    assert c - b == pytest.approx(math.log(10), rel=0.01) and b - a == pytest.approx(math.log(10), rel=0.05)


@every_convention
@pytest.mark.parametrize(("right", "classes"), [(0.8, 3), (0.95, 10), (0.5, 2)])
def test_the_needed_epsilon_gives_the_target(right: float, classes: int, convention: Convention) -> None:
    epsilon = smoothing.needed(right, classes, convention)
    assert float(losses.smoothed(torch.tensor(0), classes, epsilon, convention)[0]) == pytest.approx(right)


def test_the_smoothed_loss_splits() -> None:
    for epsilon in (0.0, 0.1, 0.7):
        parts = smoothing.split_of_the_loss(epsilon)
        assert parts["torch"] == pytest.approx((1 - epsilon) * parts["plain"] + epsilon * parts["even"])
        assert parts["torch"] == pytest.approx(parts["divergence"] + parts["entropy"])
        assert parts["torch"] == pytest.approx(parts["drawn"], abs=1e-12)


def test_torch_agrees_and_the_mistakes_do_not() -> None:
    for weighted in (False, True):
        for padded in (False, True):
            assert smoothing.disagreement(weighted, padded) < 1e-13
            assert smoothing.disagreement(weighted, padded, "wrong") > 0.01
    assert (
        smoothing.disagreement(True, False, divisor="rows") > 0.01 < smoothing.disagreement(False, True, divisor="rows")
    )


def test_the_pad_gets_its_share_unless_epsilon_is_shared_without_it() -> None:
    assert smoothing.mass_of_the_pad() == pytest.approx(0.01) == pytest.approx(smoothing.mass_of_the_pad(ignore=False))
    assert smoothing.mass_of_the_pad(classes=4, smoothing=0.2) == pytest.approx(0.05)
    assert smoothing.mass_of_the_pad(shared="real") < 1e-20


# ---------------------------------------------------------------------------------------------- the shipped cells


@pytest.mark.parametrize("stop", ["loss", "accuracy", "end"])
def test_a_cell_is_the_mean_of_its_runs(stop: training.Stop) -> None:
    found = smoothing.cell("high", 500, stop)
    for r, seed in enumerate(training.SEEDS):
        run = training.trained("high", 500, seed)
        for e in range(len(training.SMOOTHINGS)):
            at = {"loss": run.plain[:, e].argmin(), "accuracy": run.right[:, e].argmax(), "end": -1}[stop]
            size, hits, sure = (getattr(run, name)[at, e] for name in ("size", "hits", "confidence"))
            assert float(found.accuracy[r, e]) == pytest.approx(float(hits.sum() / training.TEST))
            assert float(found.sure[r, e]) == pytest.approx(float((size * sure).sum() / training.TEST))
            gap = sum(abs(float(h - s * c)) for s, h, c in zip(size, hits, sure, strict=True)) / training.TEST
            assert float(found.ece[r, e]) == pytest.approx(gap)
            assert found.nll[r, e] == run.nll[at, e] and found.plain[r, e] == run.plain[at, e]
            assert found.step[r, e] == run.at[at] and found.loss[r, e] == run.loss[at, e]
    torch.testing.assert_close(found.over, found.sure - found.accuracy)
    torch.testing.assert_close(found.gained, found.accuracy - found.accuracy[:, :1])


def test_the_grid_holds_all_thirty_cells_in_order() -> None:
    grid = smoothing.grid("loss", "ece")
    assert grid.shape == (6, 5)
    order = [(noise, n) for noise in ("low", "high") for n in (500, 2000, 8000)]
    for row, (noise, n) in zip(grid, order, strict=True):
        torch.testing.assert_close(row, smoothing.cell(noise, n).ece.mean(0))  # type: ignore[arg-type]


def test_the_diagram_holds_every_answer_of_all_runs() -> None:
    found = smoothing.reliability("low", 2000)
    assert (found.size.sum(-1) == len(training.SEEDS) * training.TEST).all()
    right = (found.right * found.size).nansum(-1) / found.size.sum(-1)
    torch.testing.assert_close(right, smoothing.cell("low", 2000).accuracy.mean(0))
    sure = (found.confidence * found.size).nansum(-1) / found.size.sum(-1)
    torch.testing.assert_close(sure, smoothing.cell("low", 2000).sure.mean(0))


def test_what_the_page_says_of_the_cells() -> None:
    """“At the end it lowered our networks’ confidence in every run, stopped early on average”: at the end in every run and from each ε to the next; of early stops in every cell."""
    for noise in training.SCALES:
        for n in training.SIZES:
            assert (smoothing.cell(noise, n, "end").sure.diff(dim=1) < 0).all()
            for stop in ("loss", "accuracy"):
                sure = smoothing.cell(noise, n, stop).sure.mean(0)  # type: ignore[arg-type]
                assert (sure[1:] < sure[0]).all()
    # “with little overlap and 500 examples every ε loses”
    assert (smoothing.cell("low", 500).gained[:, 1:].mean(0) < -0.005).all()


def test_a_standard_error_is_that_of_the_mean() -> None:
    values = torch.tensor([[1.0, 4.0], [3.0, 4.0], [5.0, 4.0], [7.0, 4.0]])
    assert smoothing.standard_error(values).tolist() == pytest.approx([math.sqrt(20 / 3) / 2, 0])
