"""Question 10's models of XOR: the batched program is the plain one, and the shipped runs are what it gives."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.training import feed_forward as model
from core.training.feed_forward import BITS, FLOOR, SEEDS, SEEING, STEPS, TARGET, VARIANTS, WIDTH
from core.training.shipped import FOLDER, shipped


def plain(seed: int, variant: str, sees: str, steps: int) -> list[float]:
    """One run alone, token by token, with torch's own functions."""
    g = torch.Generator().manual_seed(7919 * (seed + 1))

    def draw(rows: int, columns: int) -> Tensor:
        return (torch.randn(rows, columns, generator=g, dtype=torch.float64) / math.sqrt(rows)).requires_grad_()

    embed, qkv, out, up, down, head = (
        draw(*shape) for shape in ((3, WIDTH), (WIDTH, 24), (WIDTH, WIDTH), (WIDTH, 16), (16, WIDTH), (WIDTH, 1))
    )
    bias = torch.zeros(16, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([embed, qkv, out, up, down, head, bias], lr=0.02)
    curve = []
    for _ in range(steps):
        x = torch.tensor([[a, b, 1.0] for a, b in BITS], dtype=torch.float64) @ embed
        heard = F.layer_norm(x, (WIDTH,)) if "normed" in sees else x
        q, k, v = (heard @ qkv).split(WIDTH, -1)
        rows = []
        for i in range(4):
            others = range(4) if sees == "all" else [i]
            weights = torch.stack([q[i] @ k[j] / math.sqrt(WIDTH) for j in others]).softmax(0)
            rows.append(x[i] + sum(w * v[j] for w, j in zip(weights, others, strict=True)) @ out)  # type: ignore[operator]
        x = torch.stack(rows)
        if variant != "attention":
            hidden = x @ up + bias
            x = x + (F.relu(hidden) if variant == "relu" else hidden) @ down
        loss = F.binary_cross_entropy_with_logits((x @ head)[:, 0], torch.tensor(TARGET, dtype=torch.float64))
        adam.zero_grad()
        loss.backward()
        adam.step()
        curve.append(loss.item())
    return curve


@pytest.mark.parametrize("sees", SEEING)
def test_each_run_is_what_it_would_be_alone(sees: model.Sees, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "EVERY", 1)
    *_, last = model.train(sees, seeds=(0, 3), steps=4)
    assert last.at.tolist() == [1, 2, 3, 4]
    for v, variant in enumerate(VARIANTS):
        for r, seed in enumerate((0, 3)):
            expected = torch.tensor(plain(seed, variant, sees, 4), dtype=torch.float64)
            torch.testing.assert_close(last.losses[v, r], expected, atol=1e-9, rtol=0)


def test_variants_begin_with_the_same_weights_and_seeds_do_not() -> None:
    weights = model.first_weights(SEEDS)
    for w in weights.values():
        assert torch.equal(w[0], w[1]) and torch.equal(w[0], w[2])
    assert not torch.isclose(weights["qkv"][0, 0], weights["qkv"][0, 1]).any()
    assert all(not row.any() for row in weights["bias"].detach())


def test_a_token_that_sees_itself_knows_of_no_other() -> None:
    weights = {name: w.detach() for name, w in model.first_weights((0,)).items()}
    for sees, same in (("itself", True), ("itself, normed", True), ("all", False)):
        usual = model.logits_of(weights, sees)  # type: ignore[arg-type]
        changed = dict(weights)

        def other() -> Tensor:
            return torch.tensor([[0, 0, 1.0], [0, 1, 1], [1, 0, 1], [5, 5, 1]], dtype=torch.float64)

        original, model.inputs = model.inputs, other
        try:
            moved = model.logits_of(changed, sees)  # type: ignore[arg-type]
        finally:
            model.inputs = original
        assert torch.equal(usual[..., :3], moved[..., :3]) is same


@pytest.mark.parametrize("sees", SEEING)
def test_the_shipped_runs_are_what_the_program_gives(sees: model.Sees) -> None:
    """Closely over the first steps, by their outcome at the end."""
    frames = list(model.train(sees))
    again, kept = frames[-1], model.trained(sees)
    assert torch.equal(again.at, kept.at) and kept.done == 1 == again.done and int(kept.at[-1]) == STEPS
    assert kept.losses.shape == again.losses.shape == (3, len(SEEDS), len(kept.at))
    early = kept.at <= 4
    torch.testing.assert_close(kept.losses[..., early], again.losses[..., early], atol=1e-8, rtol=0)
    assert torch.equal(kept.losses[..., -1] < 0.01, again.losses[..., -1] < 0.01)
    torch.testing.assert_close(kept.answers, again.answers, atol=0.02, rtol=0)
    assert set(kept.right.unique().tolist()) <= {0.0, 0.25, 0.5, 0.75, 1.0}
    for p in frames[:3]:
        t = len(p.at)
        assert torch.equal(p.losses, again.losses[..., :t]), "what was yielded stays as it was"


def test_what_is_said_of_the_runs() -> None:
    alone, all_, normed = (model.trained(sees) for sees in SEEING)
    assert normed.losses[..., -1].max() < 0.005, "a norm before attention is enough, in every run"
    attention, linear, relu = alone.losses[..., -1]
    for stays, right in ((attention, alone.right[0]), (linear, alone.right[1])):
        assert (stays - FLOOR).abs().max() < 1e-6 and (right.amax(-1) == 0.75).all()
    assert (alone.losses[:2] >= FLOOR - 1e-9).all(), "no run of a linear model is ever below its floor"
    assert relu.max() < 1e-4 and (alone.right[2, :, -1] == 1).all()
    assert ((all_.losses[..., -1] < 0.01).sum(-1)).tolist() == [4, 3, 5]
    torch.testing.assert_close(alone.answers[0], torch.full_like(alone.answers[0], 0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close(alone.answers[2].mean(0), torch.tensor(TARGET, dtype=torch.float64), atol=1e-3, rtol=0)


def test_the_file_says_where_it_comes_from() -> None:
    kept = shipped("feed_forward")
    assert kept["command"] == "python -m core.training feed_forward" and kept["seeds"] == list(SEEDS)
    assert (FOLDER / "feed_forward.json").stat().st_size < 200_000
    assert list(kept["result"]) == list(SEEING)
