"""Soft retrieval with and without 1/√d_k: the batched program is the plain one, run by run and step by step."""

import math

import pytest
import torch
from torch import Tensor

from core.training import retrieval
from core.training.retrieval import BATCH, CAP, KEYS, LEARNED, VALUE, VARIANTS, WINDOW


@pytest.fixture(scope="module")
def at_64() -> list[retrieval.Progress]:
    return list(retrieval.train(64))


def normal(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def plain_loss(w_q: Tensor, w_k: Tensor, x: Tensor, value: Tensor, scaled: bool) -> Tensor:
    """The textbook: project the query, project every key, divide, softmax, average the values."""
    s = ((x[:, :1] @ w_q) @ (x @ w_k).mT) / (math.sqrt(x.shape[-1]) if scaled else 1)
    return torch.nn.functional.mse_loss((s.softmax(-1) @ value)[:, 0], value[:, 0])


def plain_run(d_k: int, seed: int, scaled: bool, steps: int) -> Tensor:
    """One run alone, with torch's own Adam, and no stopping."""
    g = torch.Generator().manual_seed(7919 * (seed + 1))
    w = [(torch.randn(d_k, d_k, generator=g) / math.sqrt(d_k)).requires_grad_() for _ in range(2)]
    adam = torch.optim.Adam(w, lr=1e-3)
    curve = []
    for _ in range(steps):
        x = torch.randn(BATCH, KEYS, d_k, generator=g)
        loss = plain_loss(w[0], w[1], x, torch.randn(BATCH, KEYS, VALUE, generator=g), scaled)
        adam.zero_grad()
        loss.backward()
        adam.step()
        curve.append(loss.item())
    return torch.tensor(curve)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = (list(retrieval.train(16, (0, 1), cap=12)) for _ in range(2))
    assert [p.losses.shape[-1] for p in first] == [5, 10, 12], "every five steps, and at the end"
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.losses, b.losses) and torch.equal(a.learned, b.learned)
    assert not torch.equal(first[-1].losses[:, 0], first[-1].losses[:, 1]), "two seeds, one curve"


def test_the_batched_losses_and_gradients_are_the_plain_ones() -> None:
    """Float64: only the order of summation differs, so torch's default tolerance is generous."""
    w = normal(2, 2, 3, 6, 6, seed=0).requires_grad_()  # [q or k, variant, seed, d, d]
    x, value = normal(3, 5, 7, 6, seed=1), normal(3, 5, 7, 4, seed=2)
    scale = torch.tensor([math.sqrt(6), 1.0], dtype=torch.float64)[:, None, None, None]
    ours = retrieval.losses_of(w, x[None], value[None], scale)
    (gradient,) = torch.autograd.grad(ours.sum(), w)
    for v in range(2):
        for r in range(3):
            alone = w[:, v, r].detach().requires_grad_()
            loss = plain_loss(alone[0], alone[1], x[r], value[r], scaled=v == 0)
            torch.testing.assert_close(ours[v, r], loss)
            torch.testing.assert_close(gradient[:, v, r], torch.autograd.grad(loss, alone)[0], rtol=1e-9, atol=1e-12)


def test_the_steps_are_what_torch_trains_alone(at_64: list[retrieval.Progress]) -> None:
    """Also after the factor's runs have ended and left the batch: weights and Adam's state keep belonging together.

    Rounding alone separates the two programs; 0.001 is a hundredth of the threshold.
    """
    last = at_64[-1]
    for v in range(2):
        steps = min(int(last.learned[v, 0]), int(last.learned[0].max()) + 15)
        alone = plain_run(64, 0, VARIANTS[v] == "with", steps)
        torch.testing.assert_close(last.losses[v, 0, :steps], alone, atol=1e-3, rtol=0)


def test_learned_is_the_first_step_whose_mean_of_five_is_below(at_64: list[retrieval.Progress]) -> None:
    last = at_64[-1]
    assert last.done and (last.learned > 0).all() and last.learned.max() < CAP
    assert last.losses.shape[-1] == last.learned.max(), "it ends with its last run"
    for curve, learned in zip(last.losses.flatten(0, 1), last.learned.flatten(), strict=True):
        n = int(learned)
        assert curve[:n].isfinite().all() and curve[n:].isnan().all()
        means = curve[:n].unfold(0, WINDOW, 1).mean(-1)
        assert means[-1] < LEARNED and (means[:-1] >= LEARNED).all()


def test_what_was_yielded_stays_as_it_was(at_64: list[retrieval.Progress]) -> None:
    last = at_64[-1]
    for p in at_64:
        t = p.losses.shape[-1]
        torch.testing.assert_close(p.losses, last.losses[..., :t], rtol=0, atol=0, equal_nan=True)
        assert torch.equal(p.learned, torch.where(last.learned <= t, last.learned, -1))


def test_at_64_the_factor_saves_steps_in_every_seed(at_64: list[retrieval.Progress]) -> None:
    """Without the factor 1.4 to 1.9 times as many steps in the mean over seeds.

    Eight seeds of two programs gave 1.51 to 1.89, standard deviation 0.13: the interval is for the mean, since
    a single seed may lie beyond it.
    """
    with_factor, without = at_64[-1].learned
    assert with_factor.max() < without.min()
    assert 1.4 < (without / with_factor).mean() < 1.9


@pytest.mark.parametrize("d_k", [16, 64, 256])
@pytest.mark.parametrize("scaled", [True, False])
def test_the_first_loss_follows_from_the_weights(d_k: int, scaled: bool) -> None:
    r"""Values are independent N(0, 1), so given the weights each component of an error is $N(0, s)$ with
    $s = (1 - p_0)^2 + \sum_{i>0} p_i^2 \le 2$: the mean of $b \cdot v$ squares has variance $2 \sum s^2 / (b^2 v)$.
    """
    w = normal(2, d_k, d_k, seed=3) / math.sqrt(d_k)
    x, value = normal(BATCH, KEYS, d_k, seed=4), normal(BATCH, KEYS, VALUE, seed=5)
    scale = torch.tensor(math.sqrt(d_k) if scaled else 1.0, dtype=torch.float64)
    p = retrieval.retrieve(w[0], w[1], x, scale)
    s = (1 - p[:, 0]).square() + p[:, 1:].square().sum(-1)
    error = math.sqrt(2 * s.square().sum() / VALUE) / BATCH
    loss = retrieval.losses_of(w, x, value, scale)
    assert abs(loss - s.mean()) < 4 * error
    assert (s <= 2).all()
    assert s.mean() < 1.2 if scaled else s.mean() > 1.2, "certain and wrong costs more than unsure"


def test_a_run_that_learns_at_the_cap_has_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    below, above = [1.0] * (CAP - WINDOW) + [0.05] * WINDOW, [1.0] * CAP
    monkeypatch.setattr(retrieval, "shipped", lambda _: {"result": {"16": [[below, above], [[0.05] * 9, above]]}})
    assert retrieval.trained(16).learned.tolist() == [[CAP, -1], [9, -1]]
