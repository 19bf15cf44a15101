"""The runs of question 5: the model is torch's, the task needs both sides, the shipped curves are what the program gives."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.training import encoder_decoder as task
from core.training.shipped import FOLDER

ARMS = pytest.mark.parametrize("arm", task.ARMS)


def last(**arguments) -> task.Progress:
    *_, end = task.train(**arguments)
    return end


def plain(weights: dict[str, Tensor], arm: task.Arm) -> Tensor:
    """One run of two layers, one text after the other, by torch's functions: the logits of all 64."""
    found = []
    for a, b in itertools.product(range(8), range(8)):
        text, gap = {"both": ([a, 8, b], 1), "past": ([a, 8, b], 1), "end": ([a, b, 8], 2)}[arm]
        x = weights["token"][text] + weights["place"]
        for layer in "01":
            y = F.layer_norm(x, (32,))
            q, k, v = ((y @ weights[f"{name}{layer}"]).view(3, 2, 16).transpose(0, 1) for name in "qkv")
            mixed = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=arm != "both")[0]
            x = x + mixed.transpose(0, 1).flatten(1) @ weights[f"o{layer}"]
            x = x + (F.layer_norm(x, (32,)) @ weights[f"up{layer}"]).relu() @ weights[f"down{layer}"]
        found.append(F.layer_norm(x[gap], (32,)) @ weights["read"])
    return torch.stack(found)


def test_the_answers_are_the_sums() -> None:
    for arm in task.ARMS:
        assert {tuple(text) for text in task.texts(arm).tolist()} == {
            (a, b, 8) if arm == "end" else (a, 8, b) for a in range(8) for b in range(8)
        }
        for text, right in zip(task.texts(arm).tolist(), task.ANSWERS.tolist(), strict=True):
            assert text[task.PLACE[arm]] == task.GAP and sum(x for x in text if x != 8) % 8 == right
    # Each left neighbour comes with each answer once: what is left of it tells nothing.
    assert all(sorted(row) == list(range(8)) for row in task.ANSWERS.view(8, 8).tolist())


def test_who_sees_what() -> None:
    assert task.SEEN["both"][1].tolist() == [True, True, True]
    assert task.SEEN["past"][1].tolist() == [True, True, False]
    assert task.SEEN["end"][2].tolist() == [True, True, True]


def test_all_arms_start_from_the_same_weights_and_each_seed_from_its_own() -> None:
    for weight in task.first_weights((3, 5)).values():
        assert weight.shape[0] == 6
        by_arm = weight.detach().unflatten(0, (3, 2))
        assert torch.equal(by_arm[0], by_arm[1]) and torch.equal(by_arm[0], by_arm[2])
        assert not torch.isclose(by_arm[0, 0], by_arm[0, 1]).any()
    assert task.parameters() == 17_024 == 9 * 32 + 3 * 32 + 2 * (4 * 32**2 + 2 * 32 * 64) + 32 * 8


def test_the_model_is_torchs_and_the_steps_are_adams() -> None:
    """Two steps of one seed by hand, in each arm."""
    now = list(task.train(seeds=(4,), steps=2))
    for i, arm in enumerate(task.ARMS):
        weights = {name: w[:1].detach()[0].clone().requires_grad_() for name, w in task.first_weights((4,)).items()}
        adam, losses = torch.optim.Adam(weights.values(), lr=0.005), []
        for _ in range(3):
            logits = plain(weights, arm)
            loss = F.cross_entropy(logits, task.ANSWERS)
            right = logits.softmax(-1)[range(64), task.ANSWERS].mean()
            losses.append(float(loss.detach()))
            adam.zero_grad()
            loss.backward()
            adam.step()
        assert now[0].losses[i, 0].tolist() == pytest.approx(losses[:1], rel=1e-9), "before the first step"
        assert now[-1].losses[i, 0].tolist() == pytest.approx([losses[0], losses[2]], rel=1e-6)
        assert float(now[-1].right[i, 0]) == pytest.approx(float(right.detach()), rel=1e-6)
    assert now[-1].at.tolist() == [0, 2] and now[-1].done == 1 and now[0].done == 0


def test_a_run_does_not_depend_on_the_others() -> None:
    both, alone = last(seeds=(0, 7), steps=8), last(seeds=(7,), steps=8)
    torch.testing.assert_close(both.losses[:, 1], alone.losses[:, 0])
    assert both.at.tolist() == [0, 2, 4, 6, 8] and both.seeds == (0, 7)


@pytest.mark.parametrize("seed", [0, 9999])
def test_no_causal_run_beats_the_floor_or_is_right_more_often_than_by_chance(seed: int) -> None:
    """A theorem, at every step: one guess for eight answers, each right once."""
    for progress in task.train(seeds=(seed,), steps=12):
        assert float(progress.losses[1].min()) >= math.log(8) - 1e-12
        assert float(progress.right[1, 0]) == pytest.approx(1 / 8, abs=1e-12)


# ------------------------------------------------------------------------------------------------ what is shipped


def test_the_shipped_curves_begin_as_the_program_begins() -> None:
    """Two snapshots, closely; what comes later may differ on another processor."""
    shipped, now = task.trained(), last(steps=2)
    torch.testing.assert_close(now.losses, shipped.losses[..., :2], rtol=1e-5, atol=0)
    assert shipped.losses.shape == (3, 5, 51) and shipped.at[-1] == task.STEPS and shipped.done == 1
    assert shipped.at.tolist() == list(range(0, 101, 2)) and shipped.right.shape == (3, 5)


def test_the_shipped_outcomes_are_what_the_lesson_says() -> None:
    both, past, end = task.trained().final
    assert (both < 0.01).all() and (end < 0.02).all() and task.LEARNED == 0.05
    assert ((past - math.log(8)).abs() < 0.002).all() and task.trained().losses[1].min() > math.log(8) - 1e-6
    shares = task.trained().right
    assert (shares[[0, 2]] > 0.99).all() and ((shares[1] - 1 / 8).abs() < 1e-6).all()


@ARMS
def test_a_run_trained_again_has_the_shipped_outcome(arm: task.Arm, again: task.Progress) -> None:
    final = float(again.final[task.ARMS.index(arm), 0])
    assert final > 2 if arm == "past" else final < task.LEARNED


@pytest.fixture(scope="module")
def again() -> task.Progress:
    return last(seeds=(0,), steps=80)


def test_the_file_says_how_it_was_made() -> None:
    text = (FOLDER / "encoder_decoder.json").read_text("utf-8")
    assert '"command": "python -m core.training encoder_decoder"' in text and '"seeds": [0, 1, 2, 3, 4]' in text
    assert len(text) < 20_000
