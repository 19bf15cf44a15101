"""Soft retrieval with 1/√d_k, with it folded into W_Q, and without: the batched program is the plain one, run by run."""

import itertools
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


def plain_run(d_k: int, seed: int, variant: str, steps: int, reach: float = 1) -> Tensor:
    """One run alone, with torch's own Adam, and no stopping; `reach` multiplies the learning rate of W_Q."""
    g = torch.Generator().manual_seed(7919 * (seed + 1))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    w_q, w_k = (draw(d_k, d_k) / math.sqrt(d_k) for _ in range(2))
    w = [(w_q / math.sqrt(d_k) if variant == "folded" else w_q).requires_grad_(), w_k.requires_grad_()]
    adam = torch.optim.Adam([{"params": w[:1], "lr": 1e-3 * reach}, {"params": w[1:], "lr": 1e-3}])
    curve = []
    for _ in range(steps):
        x = draw(BATCH, KEYS, d_k)
        loss = plain_loss(w[0], w[1], x, draw(BATCH, KEYS, VALUE), variant == "with")
        adam.zero_grad()
        loss.backward()
        adam.step()
        curve.append(loss.item())
    return torch.tensor(curve, dtype=torch.float64)


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = (list(retrieval.train(16, (0, 1), cap=12)) for _ in range(2))
    assert [p.losses.shape[-1] for p in first] == list(range(1, 13)), "every step is shown"
    assert [p.done for p in first] == [False] * 11 + [True], "at the cap it is over, learned or not"
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.losses, b.losses) and torch.equal(a.learned, b.learned)
    assert not torch.isclose(first[-1].losses[:, 0], first[-1].losses[:, 1]).any(), "two seeds, one curve"


def test_the_batched_losses_and_gradients_are_the_plain_ones() -> None:
    """Float64: only the order of summation differs, so torch's default tolerance is generous."""
    w = normal(2, 3, 3, 6, 6, seed=0).requires_grad_()  # [q or k, variant, seed, d, d]
    x, value = normal(3, 5, 7, 6, seed=1), normal(3, 5, 7, 4, seed=2)
    scale = torch.tensor([math.sqrt(6), 1.0, 1.0], dtype=torch.float64)[:, None, None, None]
    ours = retrieval.losses_of(w, x[None], value[None], scale)
    (gradient,) = torch.autograd.grad(ours.sum(), w)
    for v in range(3):
        for r in range(3):
            alone = w[:, v, r].detach().requires_grad_()
            loss = plain_loss(alone[0], alone[1], x[r], value[r], scaled=v == 0)
            torch.testing.assert_close(ours[v, r], loss)
            torch.testing.assert_close(gradient[:, v, r], torch.autograd.grad(loss, alone)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("d_k", [16, 64])
def test_the_first_steps_are_what_torch_trains_alone(d_k: int) -> None:
    """Each variant and each seed with data of its own: no seed's data serve another, and all variants share them."""
    *_, four = retrieval.train(d_k, (0, 1, 4), cap=4)
    for v, r in itertools.product(range(3), range(3)):
        alone = plain_run(d_k, (0, 1, 4)[r], VARIANTS[v], 4)
        torch.testing.assert_close(four.losses[v, r], alone, atol=1e-9, rtol=0)


def test_when_runs_have_left_the_others_keep_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a threshold of 1.3 the factor's runs are done at step 5; then weights and Adam's state must still belong together."""
    monkeypatch.setattr(retrieval, "LEARNED", 1.3)
    *_, last = retrieval.train(64, (0, 1), cap=9)
    with_factor, folded, without = last.learned
    assert (with_factor == 5).all() and (folded == 5).all() and (without == -1).all()
    for r in range(2):
        torch.testing.assert_close(last.losses[2, r], plain_run(64, r, "without", 9), atol=1e-9, rtol=0)


def test_folded_is_the_factor_with_a_longer_step_in_w_q() -> None:
    """What the page says of Adam: W_Q moves √d_k times as far in the eyes of the logits, and that is the whole difference.

    But for Adam's ε, 1e-8 beside gradients of 1e-5 and more: a thousandth of a step, which changes the loss by some 0.1.
    """
    for seed in range(2):
        folded, longer, same = (
            plain_run(64, seed, v, 5, reach) for v, reach in (("folded", 1), ("with", 8), ("with", 1))
        )
        torch.testing.assert_close(folded, longer, atol=1e-4, rtol=0)
        assert (folded - same).abs().max() > 0.05


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


def test_at_64_who_learns_first(at_64: list[retrieval.Progress]) -> None:
    """Eleven seeds of this program: folded 23 to 25 steps, with the factor 84 to 95, without 128 to 163."""
    with_factor, folded, without = at_64[-1].learned.double()
    assert 2 * folded.max() < with_factor.min() and 1.2 * with_factor.max() < without.min()
    for shipped, again in zip(retrieval.trained(64).learned, at_64[-1].learned, strict=True):
        assert 0.8 < shipped.double().mean() / again.double().mean() < 1.25


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
    curves = [[below, above], [[0.05] * 9, above], [above, above]]
    monkeypatch.setattr(retrieval, "shipped", lambda _: {"result": {"16": curves}})
    assert retrieval.trained(16).learned.tolist() == [[CAP, -1], [9, -1], [-1, -1]]
