"""The runs of question 17: the source is what it says, the model looks back only, the shipped curves are what the program gives."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.ops.positions import sinusoidal
from core.training import pre_post_norm as question_7
from core.training import warmup as grid
from core.training.shipped import FOLDER
from tests.test_training_pre_post_norm import torchs

ORDERS = pytest.mark.parametrize("order", grid.ORDERS)
SURE = 4  # the first steps, which every kind of processor computes alike; afterwards training amplifies its rounding


def until(step: int, order: grid.Order, rate: float, warmup: int, seed: int, **more) -> grid.Progress:
    found = itertools.takewhile(lambda p: p.at[-1] <= step, grid.train(order, rate, warmup, seed, **more))
    return list(found)[-1]


# ---------------------------------------------------------------------------------------------- the source


def test_the_pairs_are_those_of_an_endless_text() -> None:
    """One more step of the chain changes nothing, and the chances are chances."""
    pairs, source = grid.pairs(), grid.source()
    torch.testing.assert_close(torch.einsum("ab,abc->bc", pairs, source), pairs, atol=1e-12, rtol=0)
    torch.testing.assert_close(source.sum(-1), torch.ones(8, 8, dtype=torch.float64))
    assert float(pairs.sum()) == pytest.approx(1)
    torch.testing.assert_close(pairs.sum(0), pairs.sum(1), atol=1e-12, rtol=0)


def test_texts_follow_the_source() -> None:
    """Tokens as frequent as they should be, after two others too; a text begins in the middle of one."""
    tokens = grid.texts(torch.Generator().manual_seed(5), many=4000)
    assert tokens.shape == (4000, grid.LENGTH + 1) and tokens.min() == 0 and tokens.max() == grid.VOCABULARY - 1
    a, b, c = (tokens[:, i : i + grid.LENGTH - 1].flatten() for i in range(3))
    counts = torch.zeros(8, 8, 8, dtype=torch.float64).index_put_((a, b, c), torch.ones(len(a)).double(), True)
    many = counts.sum(-1)
    off = (counts / many[..., None] - grid.source()).abs() / (
        (grid.source() * (1 - grid.source()) / many[..., None]).sqrt() + 1 / many[..., None]
    )
    assert float(off.max()) < 5, "within five standard errors, all 512"
    first = torch.zeros(8, 8, dtype=torch.float64).index_put_(
        (tokens[:, 0], tokens[:, 1]), torch.ones(4000).double(), True
    )
    expected = 4000 * grid.pairs()
    assert float(((first - expected).abs() / (expected.sqrt() + 1)).max()) < 5


def test_the_plateau_is_the_excess_of_who_counts_tokens() -> None:
    """Measured on texts: the frequency's cross-entropy minus the source's own."""
    tokens = grid.texts(torch.Generator().manual_seed(6), many=4000)
    counted = -float(grid.pairs().sum(0).log()[tokens[:, 1:]].mean())
    assert counted - grid.own_loss(tokens) == pytest.approx(grid.plateau(), abs=0.01)
    assert round(grid.plateau(), 3) == 0.744
    lone = float(grid.entropy(grid.pairs().sum(0)) - (grid.pairs() * grid.entropy(grid.source())).sum())
    assert round(lone, 3) == 0.763, "of a token that has two before it"


def test_one_token_is_the_excess_of_who_reads_the_one_before() -> None:
    tokens = grid.texts(torch.Generator().manual_seed(8), many=4000)
    chance = grid.pairs() / grid.pairs().sum(1, keepdim=True)
    known = -float(chance[tokens[:, :-1], tokens[:, 1:]].log().mean())
    assert known - grid.own_loss(tokens) == pytest.approx(grid.one_token(), abs=0.01)
    assert round(grid.one_token(), 3) == 0.604


def test_only_what_stands_close_to_the_plateau_is_on_it() -> None:
    level = grid.plateau()
    runs = torch.tensor([level - 0.049, level + 0.049, level - 0.051, level + 0.051, grid.one_token(), torch.nan])
    assert grid.on_plateau(runs) == 2


@ORDERS
def test_what_depends_on_the_input_is_measured_on_the_logits(order: grid.Order) -> None:
    """By hand: the first step of torch's Adam, each place's logits around 0, and how far they are from their mean place."""
    weights, data = grid.first_weights(6, 1), torch.Generator().manual_seed(10_001)
    if order == "post":
        del weights["final_gain"], weights["final_shift"]
    tokens = grid.texts(data)
    by = torch.optim.Adam(weights.values(), lr=0.008 / 50, betas=(0.9, 0.98))
    F.cross_entropy(grid.predict(weights, tokens[:, :-1], order).mT, tokens[:, 1:]).backward()
    by.step()
    z = grid.predict(weights, tokens[:, :-1], order).detach().flatten(0, 1)
    z = z - z.mean(1, keepdim=True)
    expected = float((z - z.mean(0)).square().sum() / z.square().sum()) ** 0.5
    assert grid.still_reads(order, 0.008, 50, 1) == pytest.approx(expected, rel=0.01)
    assert grid.still_reads(order, 0.008, 0, 1) < 0.5 * grid.still_reads(order, 0.008, 0, 1, 0)


def test_a_rate_that_falls_ends_at_0() -> None:
    """The update is as long as the rate says: with one batch more before the end, the last one moves nothing."""
    *_, last = grid.train("pre", 0.004, 2, 0, depth=1, steps=5, falls=True)
    assert last.update[-1] == 0 < float(last.update[-2])
    *_, stays = grid.train("pre", 0.004, 2, 0, depth=1, steps=5)
    assert float(last.update[2] / stays.update[2]) == pytest.approx(2 / 3, rel=1e-3)


def test_nobody_beats_the_source() -> None:
    """Its own loss on many texts is its entropy; and the first prediction knows one token only."""
    tokens = grid.texts(torch.Generator().manual_seed(7), many=6000)
    assert grid.own_loss(tokens) == pytest.approx(grid.best(), abs=0.01)
    assert grid.own_loss(tokens[:, :2]) > grid.best() + 0.3
    # Another source, nearly this one, loses more on texts of this one.
    other = (grid.source() + 0.02) / 1.16
    assert -float(other[tokens[:, :-2], tokens[:, 1:-1], tokens[:, 2:]].log().mean()) > grid.best()


# ---------------------------------------------------------------------------------------------- the model


@ORDERS
def test_the_model_is_torchs_encoder_that_looks_back_only(order: grid.Order) -> None:
    g = torch.Generator().manual_seed(1)
    weights = {
        n: (w.detach() + 0.1 * torch.randn(w.shape, generator=g)).double() for n, w in grid.first_weights(3, 0).items()
    }
    encoder = torchs(weights, order, 3)
    tokens = torch.randint(0, 8, (2, 12), generator=g)
    x = weights["embed"][tokens] + sinusoidal(12, grid.WIDTH).float()
    mask = nn.Transformer.generate_square_subsequent_mask(12, dtype=torch.float64)
    expected = encoder(x, mask, is_causal=True) @ weights["head"]
    torch.testing.assert_close(grid.predict(weights, tokens, order), expected)


@ORDERS
def test_a_later_token_changes_nothing_before_it(order: grid.Order) -> None:
    weights, tokens = grid.first_weights(2, 0), torch.randint(0, 8, (1, 10), generator=torch.Generator().manual_seed(2))
    other = tokens.clone()
    other[0, 6] = (tokens[0, 6] + 1) % 8
    a, b = (grid.predict(weights, t, order).detach()[0] for t in (tokens, other))
    assert torch.equal(a[:6], b[:6]) and not torch.equal(a[6], b[6])


def test_the_first_weights_are_those_of_question_7() -> None:
    ours, theirs = grid.first_weights(4, 2), question_7.first_weights(4, 2)
    assert set(ours) == set(theirs)
    for name, weight in ours.items():
        full = theirs[name].detach().float()
        full = full[:8] if name == "embed" else full[:, :8] if name == "head" else full
        assert torch.equal(weight.detach(), full) and weight.is_leaf and weight.requires_grad


# ---------------------------------------------------------------------------------------------- the training


@ORDERS
def test_the_same_seed_gives_the_same_bits_and_another_another_curve(order: grid.Order) -> None:
    first, second, other = (until(5, order, 0.004, 0, seed, depth=2) for seed in (0, 0, 1))
    for name in ("excess", "update"):
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_the_data_of_a_seed_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = grid.first_weights
    monkeypatch.setattr(grid, "first_weights", lambda depth, seed: weights(depth, 0))
    assert len({until(1, "pre", 0.004, 0, seed, depth=2).excess[0].item() for seed in grid.SEEDS}) == len(grid.SEEDS)


@pytest.mark.parametrize(
    ("optimiser", "steps"), [("adam", (1.0, 1 / 200)), ("sgd", (1.0, 1 / 200)), ("radam", (1.0, 1 / 200))]
)
def test_a_warm_up_begins_with_one_step_of_its_length(optimiser: grid.Optimiser, steps: tuple[float, float]) -> None:
    cold, warm = (until(1, "pre", 0.004, w, 0, depth=2, optimiser=optimiser) for w in (0, 200))
    assert float(warm.update[0] / cold.update[0]) == pytest.approx(steps[1] / steps[0], rel=1e-3)
    assert torch.equal(cold.excess, warm.excess), "the first loss is the same"


@pytest.mark.parametrize("optimiser", ["adam", "radam", "sgd"])
def test_the_steps_are_those_of_torchs_optimiser(optimiser: grid.Optimiser) -> None:
    """The third step by itself, after two others: betas, momentum, gradients that are not added up; and the excess."""
    weights, data = grid.first_weights(2, 0), torch.Generator().manual_seed(10_000)
    moving = list(weights.values())
    by = {
        "adam": torch.optim.Adam(moving, lr=0.004, betas=(0.9, 0.98)),
        "radam": torch.optim.RAdam(moving, lr=0.004, betas=(0.9, 0.98)),
        "sgd": torch.optim.SGD(moving, lr=0.004, momentum=0.9),
    }[optimiser]
    for _ in range(3):
        tokens = grid.texts(data)
        by.zero_grad()
        loss = F.cross_entropy(grid.predict(weights, tokens[:, :-1], "pre").mT, tokens[:, 1:])
        loss.backward()
        before = torch.cat([w.detach().flatten() for w in moving])
        by.step()
    moved = torch.cat([w.detach().flatten() for w in moving]) - before
    run = until(3, "pre", 0.004, 0, 0, depth=2, optimiser=optimiser)
    assert float(run.update[-1]) == pytest.approx(float(moved.norm() / before.norm()), rel=1e-3)
    assert float(run.excess[-1]) == pytest.approx(loss.item() - grid.own_loss(tokens), abs=1e-4)


@pytest.mark.parametrize(
    "cell",
    [
        ("post", 6, 0.008, 0, "adam", 0),
        ("post", 6, 0.008, 25, "adam", 2),
        ("pre", 6, 0.001, 200, "adam", 1),
        ("post", 6, 0.004, 0, "radam", 1),
        ("post", 6, 0.3, 200, "sgd", 2),
        ("post", 12, 0.004, 200, "adam", 0),
    ],
)
def test_the_shipped_curve_begins_as_the_program_begins(cell: tuple) -> None:
    order, depth, rate, warmup, optimiser, seed = cell
    again = until(SURE, order, rate, warmup, seed, depth=depth, optimiser=optimiser)
    shipped = grid.trained(order, rate, warmup, depth, optimiser)[seed]
    for name in ("excess", "update"):
        torch.testing.assert_close(
            getattr(again, name), getattr(shipped, name)[:SURE], rtol=0.02, atol=2e-3, check_dtype=False
        )


def test_a_run_made_again_has_the_shipped_outcome() -> None:
    """One that is stuck and one that reads: after 60 steps they stand on the two sides of the threshold; how far, processors
    disagree about."""
    for warmup, high in ((0, True), (200, False)):
        run = until(60, "post", 0.008, warmup, 0)
        shipped = grid.trained("post", 0.008, warmup)[0]
        here = float(shipped.excess[shipped.at == 60])
        assert (float(run.excess[-1]) > 0.68) == (here > 0.68) == high


def test_every_run_is_shipped_and_the_file_is_small() -> None:
    assert (FOLDER / "warmup.json").stat().st_size < 200_000
    assert len(set(grid.CELLS)) == len(grid.CELLS) == 27
    for order, depth, rate, warmup, optimiser in grid.CELLS:
        runs = grid.trained(order, rate, warmup, depth, optimiser)
        assert len(runs) == len(grid.SEEDS)
        for run in runs:
            assert run.at.tolist() == list(grid.SNAPSHOTS) and run.done == 1
            finite = torch.isfinite(run.excess).all() and torch.isfinite(run.update).all()
            assert finite or (optimiser == "sgd" and not warmup)


def test_the_runs_whose_rate_falls_are_shipped_and_begin_as_the_program() -> None:
    for order, depth, rate, warmup, optimiser in grid.FALLING:
        runs = grid.trained(order, rate, warmup, depth, optimiser, falls=True)
        assert len(runs) == 3 and all(run.at.tolist() == list(grid.SNAPSHOTS) for run in runs)
        assert all(float(run.update[-1]) == 0 for run in runs), "the last rate is 0"
    again = until(SURE, "post", 0.004, 0, 2, falls=True)
    shipped = grid.trained("post", 0.004, 0, falls=True)[2]
    torch.testing.assert_close(again.excess, shipped.excess[:SURE], rtol=0.02, atol=2e-3, check_dtype=False)


def test_stuck_or_not_is_no_matter_of_the_threshold() -> None:
    """The gap between the runs that read and the others is wide, and the threshold well inside it."""
    ends = torch.cat([grid.ends(o, r, w, d, by) for o, d, r, w, by in grid.CELLS])
    below, above = ends[ends < grid.STUCK], ends[ends > grid.STUCK]
    assert float(below.max()) < 0.4 * grid.STUCK and float(above.min()) > grid.STUCK + 0.04
    assert grid.one_token() < grid.STUCK < grid.plateau(), "between who reads one token and who reads nothing"
    assert len(below) > 10 and len(above) > 5


def test_the_level_weighs_snapshots_by_the_steps_they_cover() -> None:
    run = grid.Progress(500, torch.tensor([1, 2, 10, 40]), torch.tensor([8.0, 4.0, 2.0, 1.0]), torch.zeros(4))
    assert grid.level(run, 40) == pytest.approx((8 + 4 + 8 * 2 + 30 * 1) / 40)
    late = grid.trained("post", 0.001, 0)[0]
    assert grid.level(late) == pytest.approx(float(late.excess[-5:].mean()), rel=1e-5)
    assert grid.level(late, 100) == pytest.approx(
        float(late.excess[(late.at > 50) & (late.at <= 100)].mean()), rel=1e-5
    )


def test_sgd_without_a_warm_up_loses_its_numbers_and_they_are_shipped_as_null() -> None:
    assert "NaN" not in (FOLDER / "warmup.json").read_text("utf-8")
    for run in grid.trained("post", 0.3, 0, optimiser="sgd")[1:]:
        lost = run.excess.isnan()
        assert lost.any() and lost[int(lost.int().argmax()) :].all(), "for good"
    assert grid.lost("post", 0.3, 0, optimiser="sgd") == 2 and grid.lost("post", 0.008, 0) == 0
