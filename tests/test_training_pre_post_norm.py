"""The runs of question 7: the model is torch's, the curves are what they say, the shipped ones are what the program gives."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.ops.positions import sinusoidal
from core.training import pre_post_norm as grid
from core.training.shipped import FOLDER

ORDERS = pytest.mark.parametrize("order", grid.ORDERS)


def until(step: int, *cell, **more) -> grid.Progress:
    found = itertools.takewhile(lambda p: p.at[-1] <= step, grid.train(*cell, **more))
    return list(found)[-1]


def torchs(weights: grid.Weights, order: grid.Order, depth: int) -> nn.TransformerEncoder:
    """nn.TransformerEncoder with our weights."""
    layer = nn.TransformerEncoderLayer(
        grid.WIDTH, grid.HEADS, grid.D_FF, dropout=0, batch_first=True, norm_first=order != "post", dtype=torch.float64
    )
    norm = nn.LayerNorm(grid.WIDTH, dtype=torch.float64) if order == "pre" else None
    encoder = nn.TransformerEncoder(layer, depth, norm, enable_nested_tensor=False)
    with torch.no_grad():
        for i, one in enumerate(encoder.layers):
            for theirs, ours in (
                (one.self_attn.in_proj_weight, weights["qkv"][i].T),
                (one.self_attn.in_proj_bias, torch.zeros(3 * grid.WIDTH)),
                (one.self_attn.out_proj.weight, weights["out"][i].T),
                (one.self_attn.out_proj.bias, torch.zeros(grid.WIDTH)),
                (one.linear1.weight, weights["up"][i].T),
                (one.linear1.bias, weights["up_bias"][i]),
                (one.linear2.weight, weights["down"][i].T),
                (one.linear2.bias, weights["down_bias"][i]),
                (one.norm1.weight, weights["gain"][i, 0]),
                (one.norm1.bias, weights["shift"][i, 0]),
                (one.norm2.weight, weights["gain"][i, 1]),
                (one.norm2.bias, weights["shift"][i, 1]),
            ):
                theirs.copy_(ours)
        if norm is not None:
            encoder.norm.weight.copy_(weights["final_gain"])
            encoder.norm.bias.copy_(weights["final_shift"])
    return encoder


@ORDERS
def test_the_model_is_torchs_encoder(order: grid.Order) -> None:
    g = torch.Generator().manual_seed(1)
    weights = {
        name: (w.detach() + 0.1 * torch.randn(w.shape, generator=g)).double()
        for name, w in grid.first_weights(3, 0).items()
    }
    tokens = torch.randint(0, grid.VOCABULARY, (2, grid.LENGTH), generator=g)
    x = weights["embed"][tokens] + sinusoidal(grid.LENGTH, grid.WIDTH)
    expected = torchs(weights, order, 3)(x) @ weights["head"]
    torch.testing.assert_close(grid.encode(weights, tokens, order), expected)


def test_the_first_matrices_are_drawn_as_torch_draws_them() -> None:
    """Bounds of uniform draws: none larger, and the largest of thousands close to it."""
    weights = grid.first_weights(4, 0)
    for name, bound in (("qkv", math.sqrt(6 / (4 * grid.WIDTH))), ("out", 1 / 8), ("up", 1 / 8), ("down", 1 / 16)):
        assert 0.99 * bound < float(weights[name].detach().abs().max()) <= bound
    assert all((weights[b] == 0).all() for b in ("up_bias", "down_bias", "shift", "final_shift"))


@ORDERS
def test_the_same_seed_gives_the_same_bits_and_another_another_curve(order: grid.Order) -> None:
    first, second, other = (until(7, order, 2, 0.003, 0, seed) for seed in (0, 0, 1))
    for name in ("loss", "gradient", "update", "by_layer"):
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize("order", ["post", "pre, no final norm"])
@pytest.mark.parametrize("rate", [0.003, 1.0])
def test_adams_first_step_has_the_length_of_the_learning_rate(order: grid.Order, rate: float) -> None:
    """Every weight with a gradient moves by the learning rate: ‖step‖ = rate · √(how many), beside the weights before it."""
    weights = grid.first_weights(2, 0)
    del weights["final_gain"], weights["final_shift"]
    norm = math.sqrt(sum(float(w.detach().square().sum()) for w in weights.values()))
    many = sum(w.numel() for w in weights.values())
    run = until(1, order, 2, rate, 0, 0)
    assert float(run.update[0]) == pytest.approx(rate * math.sqrt(many) / norm, rel=0.01)


def test_the_steps_are_those_of_torchs_adam() -> None:
    """With β = 0.9 and 0.98: the third step by itself, after two others."""
    weights, data = grid.first_weights(2, 0), torch.Generator().manual_seed(10_000)
    adam = torch.optim.Adam(weights.values(), lr=0.003, betas=(0.9, 0.98))
    for _ in range(3):
        tokens = torch.randint(0, grid.VOCABULARY, (grid.BATCH, grid.LENGTH), generator=data)
        adam.zero_grad()
        F.cross_entropy(grid.encode(weights, tokens, "pre").mT, tokens.flip(-1)).backward()
        before = torch.cat([w.detach().flatten() for w in weights.values()])
        adam.step()
    moved = torch.cat([w.detach().flatten() for w in weights.values()]) - before
    expected = float(moved.norm() / before.norm())
    assert float(until(3, "pre", 2, 0.003, 0, 0).update[-1]) == pytest.approx(expected, rel=1e-5)


def test_a_warm_up_begins_with_a_hundredth() -> None:
    cold, warm = (until(1, "pre", 2, 0.003, w, 0) for w in (0, 100))
    assert float(warm.update[0] / cold.update[0]) == pytest.approx(0.01, rel=1e-4)
    assert torch.equal(cold.gradient[:1], warm.gradient[:1]), "the first gradient is the same"


def test_the_norms_are_those_of_the_gradient() -> None:
    weights = grid.first_weights(3, 0)
    data = torch.Generator().manual_seed(10_000)
    tokens = torch.randint(0, grid.VOCABULARY, (grid.BATCH, grid.LENGTH), generator=data)
    loss = F.cross_entropy(grid.encode(weights, tokens, "pre").mT, tokens.flip(-1))
    loss.backward()
    run = until(1, "pre", 3, 0.001, 0, 0)
    assert float(run.loss[0]) == pytest.approx(loss.item(), rel=1e-6)
    everything = torch.cat([w.grad.flatten() for w in weights.values()])
    assert float(run.gradient[0]) == pytest.approx(float(everything.norm()), rel=1e-4)
    for layer in range(3):
        own = torch.cat([weights[name].grad[layer].flatten() for name in grid.PER_LAYER])
        assert float(run.by_layer[0, layer]) == pytest.approx(float(own.norm()), rel=1e-4)


SURE = 4  # the first steps, which every kind of processor computes alike; afterwards training amplifies its rounding


@pytest.mark.parametrize(
    "cell",
    [
        ("post", 12, 0.003, 0, 0),
        ("post", 12, 0.003, 0, 3),
        ("post", 4, 0.001, 100, 3),
        ("pre", 8, 0.01, 0, 2),
        ("pre, no final norm", 2, 0.003, 0, 1),
    ],
)
def test_the_shipped_curve_begins_as_the_program_begins(cell: tuple) -> None:
    """The shipped numbers have three digits, so they may be half a percent off by themselves."""
    *_, seed = cell
    again, shipped = until(SURE, *cell), grid.trained(*cell[:-1])[seed]
    for name in ("loss", "gradient", "update", "by_layer"):
        ours, theirs = getattr(again, name), getattr(shipped, name)[:SURE]
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=1e-5, check_dtype=False)


def test_every_seed_has_its_own_data_and_weights() -> None:
    """The losses of the first step differ between seeds, in the program and in what is shipped, and agree seed by seed."""
    shipped = [run.loss[0].item() for run in grid.trained("post", 2, 0.003, 0)]
    ours = [until(1, "post", 2, 0.003, 0, seed).loss[0].item() for seed in grid.SEEDS]
    assert ours == pytest.approx(shipped, rel=0.006)
    assert len({round(loss, 3) for loss in ours}) == len(grid.SEEDS)


def test_the_data_of_a_seed_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same first weights, another seed still gives another loss: it reads other texts."""
    weights = grid.first_weights
    monkeypatch.setattr(grid, "first_weights", lambda depth, seed: weights(depth, 0))
    losses = {until(1, "pre", 2, 0.003, 0, seed).loss[0].item() for seed in grid.SEEDS}
    assert len(losses) == len(grid.SEEDS)


@pytest.mark.parametrize("cell", [("post", 4, 0.01, 0, 2), ("pre", 2, 0.003, 0, 0)])
def test_a_run_made_again_has_the_shipped_outcome(cell: tuple) -> None:
    """One that fails and one that learns; their curves may part on the way."""
    *_, last = grid.train(*cell)
    shipped = grid.trained(*cell[:-1])[cell[-1]]
    assert (last.loss[-1] < grid.LEARNED) == (shipped.loss[-1] < grid.LEARNED) == (cell[0] == "pre")
    assert last.done == 1 and last.at.tolist() == list(grid.SNAPSHOTS)


def test_all_is_computed_in_float64() -> None:
    weights = grid.first_weights(2, 0)
    assert {w.dtype for w in weights.values()} == {torch.float64}
    assert grid.encode(weights, torch.zeros(1, grid.LENGTH, dtype=torch.int64), "pre").dtype == torch.float64


def test_every_run_is_shipped_and_the_file_is_small() -> None:
    assert (FOLDER / "pre_post_norm.json").stat().st_size < 1_000_000
    for order, depth, rate, warmup in grid.CELLS:
        runs = grid.trained(order, depth, rate, warmup)
        assert len(runs) == len(grid.SEEDS)
        for run in runs:
            assert run.at.tolist() == list(grid.SNAPSHOTS) and run.done == 1
            assert run.by_layer.shape == (len(grid.SNAPSHOTS), depth)
            assert all(torch.isfinite(c).all() for c in (run.loss, run.gradient, run.update, run.by_layer))


def test_learned_or_not_is_no_matter_of_the_threshold() -> None:
    """The gap between the runs that learned and the others is wide, and the threshold well inside it.

    Runs made again on other processors have ended up to a factor of 2 from the shipped ones near the gap, at 0.44 and
    1.97: it leaves room for that.
    """
    ends = torch.cat([grid.final_losses(*cell) for cell in grid.CELLS])
    learned, failed = ends[ends < grid.LEARNED], ends[ends >= grid.LEARNED]
    assert failed.min() > 4 * learned.max(), "a factor of 4 between them"
    assert learned.max() < grid.LEARNED / 1.5 and failed.min() > 1.5 * grid.LEARNED
    assert (ends < 1.02 * grid.NOTHING).all(), "none is worse than guessing evenly"
    last = [float(run.loss[-1]) for cell in grid.CELLS for run in grid.trained(*cell)]
    assert ends.tolist() == pytest.approx(last), "a run that learned and lost it again has not learned"


def test_a_warm_up_rises_in_equal_steps_and_stays() -> None:
    rates = [grid.learning_rate(step, 0.02, 100) for step in (1, 50, 100, 101, 300)]
    assert rates == pytest.approx([0.0002, 0.01, 0.02, 0.02, 0.02])
    assert {grid.learning_rate(step, 0.02, 0) for step in (1, 50, 300)} == {0.02}


def test_the_loss_is_the_mean_since_the_snapshot_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the snapshots at 5 and 7 lie two steps."""
    coarse = until(7, "pre", 2, 0.003, 0, 0)
    monkeypatch.setattr(grid, "SNAPSHOTS", range(1, 8))
    fine = until(7, "pre", 2, 0.003, 0, 0)
    assert coarse.at.tolist() == [1, 2, 3, 4, 5, 7] and len(fine.loss) == 7
    torch.testing.assert_close(coarse.loss[-1], fine.loss[-2:].mean())
    assert not torch.isclose(fine.loss[-2], fine.loss[-1]), "or the mean would say nothing"
