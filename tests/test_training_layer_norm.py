"""The runs of question 6: the norms are torch's, only BatchNorm's statistics look ahead, and the shipped runs are what the program gives."""

import itertools
import json

import pytest
import torch
from torch import Tensor, nn

from core.training import layer_norm as training
from core.training.shipped import FOLDER


def until(step: int, *cell, **more) -> training.Progress:
    return list(itertools.takewhile(lambda p: p.at[-1] <= step, training.train(*cell, **more)))[-1]


def gaussian(*shape: int) -> Tensor:
    return 2 + 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double()


def test_texts_that_share_are_one_batch_of_torchs() -> None:
    x = gaussian(4, training.LENGTH, training.WIDTH)
    ours = training.Statistics("batch", 4)
    theirs = nn.BatchNorm1d(training.WIDTH, affine=False, dtype=torch.float64)
    for _ in range(3):
        torch.testing.assert_close(ours.training(1, x), theirs(x.mT).mT)
    torch.testing.assert_close(ours.evaluation(1, x), theirs.eval()(x.mT).mT)
    assert bool((ours.mean[0] == 0).all()), "every norm of a model keeps its own"


def test_texts_that_do_not_share_are_batches_of_their_own() -> None:
    x = gaussian(4, training.LENGTH, training.WIDTH)
    whole = training.Statistics("batch", 2).training(0, x)
    for pair in (slice(0, 2), slice(2, 4)):
        torch.testing.assert_close(whole[pair], training.Statistics("batch", 2).training(0, x[pair]))
    ours, halves = training.Statistics("batch", 2), []
    ours.training(0, x)
    for pair in (slice(0, 2), slice(2, 4)):
        one = training.Statistics("batch", 2)
        one.training(0, x[pair])
        halves.append((one.mean[0], one.variance[0]))
    for kept, each in zip((ours.mean[0], ours.variance[0]), zip(*halves, strict=True), strict=True):
        torch.testing.assert_close(kept, sum(each) / 2)


def test_at_each_place_the_texts_are_the_batch() -> None:
    x = gaussian(6, training.LENGTH, training.WIDTH)
    ours = training.Statistics("place", 6)
    theirs = nn.BatchNorm1d(training.LENGTH * training.WIDTH, affine=False, dtype=torch.float64)
    torch.testing.assert_close(ours.training(2, x), theirs(x.flatten(1)).reshape(x.shape))
    torch.testing.assert_close(ours.evaluation(2, x), theirs.eval()(x.flatten(1)).reshape(x.shape))


def test_layer_norm_and_rms_norm_are_torchs_and_keep_nothing() -> None:
    x = gaussian(4, training.LENGTH, training.WIDTH)
    for norm, theirs in (("layer", nn.LayerNorm), ("rms", nn.RMSNorm)):
        ours = training.Statistics(norm, 1)  # type: ignore[arg-type]
        module = theirs(training.WIDTH, eps=1e-5).double()
        torch.testing.assert_close(ours.training(0, x), module(x).detach())
        assert torch.equal(ours.training(0, x), ours.evaluation(0, x)) and bool((ours.mean == 0).all())


@pytest.mark.parametrize(("norm", "sees"), [("layer", False), ("rms", False), ("place", False), ("batch", True)])
def test_only_statistics_over_time_see_the_next_bit(norm: training.Norm, sees: bool) -> None:
    weights = training.first_weights(0)
    bits = training.texts(torch.Generator().manual_seed(1), 8)[:, :-1]
    other = bits.clone()
    other[0, 5] = 1 - other[0, 5]
    for mode in ("training", "evaluation"):
        before, after = (
            training.predict(weights, each, getattr(training.Statistics(norm, 8), mode)).detach()
            for each in (bits, other)
        )
        changed = bool(((after - before)[0, :5] != 0).any())
        assert changed == (sees and mode == "training"), (norm, mode)
        assert bool(((after - before)[0, 5:] != 0).any())


def test_the_loss_is_that_of_the_next_bit_at_each_position() -> None:
    text = torch.tensor([[0, 1, 1, 0, 1, 0, 0, 1, 1]])
    sure = torch.full((1, training.LENGTH, 2), -50.0)
    sure[0, torch.arange(training.LENGTH), text[0, 1:]] = 50.0
    assert float(training.loss_of(sure, text).max()) < 1e-6
    sure[0, 3] = -sure[0, 3]
    assert training.loss_of(sure, text).tolist() == pytest.approx([0, 0, 0, 100, 0, 0, 0, 0])


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second, other = (until(4, "batch", 2, seed) for seed in (0, 0, 1))
    for name in training.KEPT:
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


# ------------------------------------------------------------------------------------------------ what is shipped


def test_the_file_says_how_it_was_made_and_is_small() -> None:
    file = FOLDER / "layer_norm.json"
    content = json.loads(file.read_text("utf-8"))
    assert file.stat().st_size < 1_000_000
    assert content["command"] == "python -m core.training layer_norm" and content["seeds"] == list(training.SEEDS)
    assert set(content["result"]) == {"/".join(map(str, cell)) for cell in training.CELLS}


@pytest.mark.parametrize("cell", training.CELLS, ids=lambda c: "-".join(map(str, c)))
def test_every_seed_of_every_cell_is_there_and_begins_as_the_program_does(cell: tuple) -> None:
    runs = training.trained(*cell)
    assert len(runs) == len(training.SEEDS)
    for run in runs:
        assert run.done == 1 and run.at.tolist() == list(training.SNAPSHOTS)
        assert run.loss.shape == run.evaluated.shape == run.at.shape and run.by_position.shape == (training.LENGTH,)
        assert all(bool(getattr(run, name).isfinite().all()) for name in training.KEPT)
    now, seed = until(4, *cell, 1), training.SEEDS.index(1)
    torch.testing.assert_close(now.loss, runs[seed].loss[:4], rtol=2e-3, atol=0)
    torch.testing.assert_close(now.evaluated, runs[seed].evaluated[:4], rtol=2e-3, atol=0)


def test_nothing_is_said_by_a_hair() -> None:
    """Outcomes must not depend on the processor."""

    def ends(norm: training.Norm, sharing: int, what: str) -> list[float]:
        return [float(getattr(run, what)[-1]) for run in training.trained(norm, sharing)]

    for cell in (("layer", 1), ("rms", 1), ("place", 64), ("batch", 32), ("batch", 64)):
        assert all(abs(loss - training.ENTROPY) < 0.003 for loss in ends(*cell, "loss"))  # type: ignore[arg-type]
    assert max(ends("batch", 1, "loss")) < 0.15 and min(ends("batch", 1, "evaluated")) > 4
    assert 0.4 < min(ends("batch", 4, "loss")) < max(ends("batch", 4, "loss")) < 0.55
    assert max(ends("batch", 2, "loss")) < min(ends("batch", 4, "loss")) < max(ends("batch", 4, "loss")) < 0.6
    for run in training.trained("batch", 1):
        assert float(run.by_position[:-1].max()) < 0.03 and float(run.by_position[-1]) > 0.65


def test_a_short_run_ends_as_the_long_ones_do() -> None:
    *_, run = training.train("batch", 1, 0, steps=120)
    assert float(run.loss[-1]) < 0.3 and float(run.evaluated[-1]) > 1.5
