"""The runs of question 19: the net, the steps, who is silent, and what is shipped."""

import itertools
import json

import pytest
import torch
import torch.nn.functional as F

from core.training import gelu as training
from core.training import pre_post_norm
from core.training.shipped import FOLDER


@pytest.fixture(scope="module")
def begun() -> list[training.Progress]:
    """What a training yields over its first 20 steps."""
    return list(itertools.islice(training.train(0.003, 1), 5))


def test_with_relu_it_is_the_net_of_question_7() -> None:
    weights = training.first_weights(2, 3)
    tokens = training.texts(4, 5)
    logits, entered = training.encode(weights, tokens, "relu")
    torch.testing.assert_close(logits, pre_post_norm.encode(weights, tokens, "pre"))
    assert [tuple(h.shape) for h in entered] == [(4, 8, 256)] * 2
    exact, inside = training.encode(weights, tokens, "exact")
    torch.testing.assert_close(inside[0], entered[0])
    assert not torch.allclose(exact, logits)


def test_the_first_steps_are_torchs_adam(begun: list[training.Progress]) -> None:
    data = torch.Generator().manual_seed(10_001)
    batches = [torch.randint(0, 16, (32, 8), generator=data) for _ in range(4)]
    for a, form in enumerate(training.TRAINED):
        weights = training.first_weights(2, 1)
        adam = torch.optim.Adam(weights.values(), lr=0.003, betas=(0.9, 0.98))
        losses = []
        for tokens in batches:
            loss = F.cross_entropy(training.encode(weights, tokens, form)[0].flatten(0, 1), tokens.flip(-1).flatten())
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(float(loss.detach()))
        assert float(begun[0].loss[a, 0]) == pytest.approx(losses[0], rel=1e-9)
        steps = training.steps_of(form, 0.003, 1)
        assert [next(steps)[0] for _ in range(4)] == pytest.approx(losses, rel=1e-6)


def test_what_a_training_yields(begun: list[training.Progress]) -> None:
    assert [p.at.tolist() for p in begun] == [[1], [1], [1, 10], [1, 10], [1, 10, 20]]
    assert begun[-1].done == 20 / 400 and begun[-1].loss.shape == begun[-1].silent.shape == (2, 3)
    assert (begun[-1].reached <= begun[-1].silent).all() and (begun[-1].reached[0] == 0).all()


def test_silent_is_above_0_nowhere_and_reached_is_a_gradient() -> None:
    """Two units are pushed below 0 by their bias; one of them is so far below that nothing is left of GELU's slope."""
    tokens = training.texts(8, 1)
    for form, reached in (("relu", [False, False]), ("exact", [True, False])):
        weights = training.first_weights(2, 0)
        with torch.no_grad():
            weights["up_bias"][1, 7], weights["up_bias"][1, 9] = -8.0, -60.0
        quiet, gradient = training.listen(weights, tokens, form)  # type: ignore[arg-type]
        assert quiet[1, 7] and quiet[1, 9] and int(quiet.sum()) == 2
        assert [bool(gradient[1, unit] > 0) for unit in (7, 9)] == reached
        assert (gradient[~quiet] > 0).all()
        # The norm is over the weights that come in, one column of W_up for each unit.
        loss = training.loss_of(training.encode(weights, tokens, form)[0], tokens)  # type: ignore[arg-type]
        (whole,) = torch.autograd.grad(loss, [weights["up"]])
        assert float(gradient[0, 3]) == pytest.approx(float(whole[0, :, 3].norm()))


def test_the_texts_to_look_at_are_not_those_to_train_on() -> None:
    assert training.probe().shape == (128, 8) and training.test_texts().shape == (1024, 8)
    assert torch.equal(training.probe(), training.probe())
    assert not torch.equal(training.probe(), training.test_texts()[:128])


def test_another_form_in_its_place() -> None:
    weights, tokens = training.checkpoint(), training.texts(32, 4)
    found = training.run_with(weights, "exact", tokens)
    assert list(found) == list(training.FORMS) and found["exact"]["moved"] == 0
    with torch.no_grad():
        own, other = (training.encode(weights, tokens, form)[0] for form in ("exact", "relu2"))
    assert found["relu2"] == {
        "loss": pytest.approx(float(F.cross_entropy(other.flatten(0, 1), tokens.flip(-1).flatten()))),
        "right": pytest.approx(float((other.argmax(-1) == tokens.flip(-1)).double().mean())),
        "moved": pytest.approx(float((other - own).abs().max())),
        "changed": pytest.approx(float((other.argmax(-1) != own.argmax(-1)).double().mean())),
    }


# ---------------------------------------------------------------------------------------------- what is shipped


def test_the_shipped_runs_begin_as_the_program_begins(begun: list[training.Progress]) -> None:
    """The first steps, closely; what comes later may differ on another processor."""
    kept = training.trained(0.003, 1)
    assert float((kept.loss[:, 0] - begun[-1].loss[:, 0]).abs().max()) < 1e-4
    assert float((kept.loss[:, 1] - begun[-1].loss[:, 1]).abs().max()) < 1e-2


def test_everything_is_shipped() -> None:
    content = json.loads((FOLDER / "gelu.json").read_text("utf-8"))
    assert content["command"] == "python -m core.training gelu" and content["seeds"] == list(training.SEEDS)
    assert (FOLDER / "gelu.json").stat().st_size < 1e6 and (FOLDER / training.FILE).stat().st_size < 1e6
    for rate, seed in training.CELLS:
        run = training.trained(rate, seed)
        assert run.at.tolist() == list(training.SNAPSHOTS) and run.done == 1
        assert run.loss.shape == run.silent.shape == run.reached.shape == (2, len(training.SNAPSHOTS))
        assert (run.reached[0] == 0).all(), "ReLU’s silent units get exactly nothing"
        assert torch.equal(run.reached[1], run.silent[1]), "GELU’s get something"
    for form in training.TRAINED:
        for rate in training.RATES:
            losses = training.final_losses(form, rate)
            assert losses.shape == (5,) and (losses < pre_post_norm.LEARNED).all(), "every run has learned"


def test_the_checkpoint_is_the_net_of_its_seed() -> None:
    rate, seed = training.CHECKPOINT
    kept = training.ends("exact", rate)[seed]["with"]
    with torch.no_grad():
        for form in ("exact", "relu2"):
            loss = training.loss_of(
                training.encode(training.checkpoint(), training.test_texts(), form)[0], training.test_texts()
            )  # type: ignore[arg-type]
            assert float(loss) == pytest.approx(kept[form]["loss"], rel=1e-2)


def test_the_beginning_of_a_training_again() -> None:
    """Its outcome after 60 steps: both have learned, and of the units that fell silent only GELU's get a gradient."""
    *_, end = itertools.takewhile(lambda p: p.at[-1] <= 60, training.train(0.01, 0))
    assert int(end.at[-1]) == 60 and (end.loss[:, -1] < pre_post_norm.LEARNED).all()
    assert end.silent[0, -1] > 0 and end.silent[1, -1] > 0
    assert end.reached[0, -1] == 0 and end.reached[1, -1] == end.silent[1, -1]


# ---------------------------------------------------------------------------------------------- who wakes


def test_who_woke_is_who_was_silent_and_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a net that does not train, two units are silent throughout, one of them just below 0; one wakes, one falls silent."""
    tokens = training.texts(8, 1)

    def steps(form: training.Form, rate: float, seed: int):  # type: ignore[no-untyped-def]
        weights = training.first_weights(2, 0)
        top = float(training.highest(weights, tokens, form)[256 + 6])
        for step in (1, 2, 3, 4):
            with torch.no_grad():
                weights["up_bias"][1, 6] = -0.3 - top
                weights["up_bias"][1, 7] = -8.0
                weights["up_bias"][1, 8] = -8.0 if step < 4 else 0.0
                weights["up_bias"][1, 9] = -60.0 if step > 2 else 0.0
            yield 0.0, weights

    monkeypatch.setattr(training, "steps_of", steps)
    monkeypatch.setattr(training, "test_texts", lambda: tokens)
    for found in training.wake(0, steps=4, half=2):
        assert found == {"half": 3, "woke": 1, "silent": 3, "left": 2, "loss": found["loss"]} and found["loss"] > 1
    at = torch.tensor([training.DIP - 1e-3, training.DIP + 1e-3], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(F.gelu(at).sum(), at)
    assert slope[0] < 0 < slope[1]


def test_what_is_shipped_of_waking_agrees_with_the_other_runs() -> None:
    """The same trainings twice: as many units are silent at the end."""
    for form in training.TRAINED:
        ends, found = training.ends(form, training.WOKEN_RATE), training.woken(form)
        assert len(found) == len(training.WOKEN_SEEDS) == 10
        assert [end["silent"] for end in found[:5]] == [end["silent"] for end in ends]
        assert all(end["woke"] <= end["half"] and end["left"] <= end["silent"] for end in found)


def test_the_last_loss_is_that_of_the_curve() -> None:
    for a, form in enumerate(training.TRAINED):
        assert training.final_losses(form, 0.003).tolist() == [
            float(training.trained(0.003, s).loss[a, -1]) for s in training.SEEDS
        ]


def test_the_pull_is_that_of_the_silent_to_that_of_the_others() -> None:
    gradient = torch.tensor([[1.0, 2.0, 6.0], [10.0, 20.0, 70.0]])
    assert training.pull(torch.tensor([[True, True, True], [False, False, False]]), gradient) == pytest.approx(2 / 20)
    assert training.pull(torch.zeros(2, 3, dtype=torch.bool), gradient) == 0
