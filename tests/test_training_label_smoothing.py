"""The runs of question 16: the task and its best classifier, the steps of torch, and what is shipped."""

import itertools
import json
import math

import pytest
import torch
import torch.nn.functional as F

from core.training import label_smoothing as training
from core.training.shipped import FOLDER


def some(progress, n: int):
    """The first n that a training yields."""
    return [next(progress) for _ in range(n)][-1]


def plain_net(weights, arm: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    w = [one.detach()[arm] for one in weights]
    hidden = F.relu(F.relu(x @ w[0] + w[1]) @ w[2] + w[3])
    return hidden, hidden @ w[4] + w[5]


def test_a_class_is_a_cloud_around_its_centre() -> None:
    x, answers = training.draw(40_000, 0.65, torch.Generator().manual_seed(5))
    for k in (0, 9):
        mine = x[answers == k]
        off = 5 / math.sqrt(len(mine))
        torch.testing.assert_close(mine.mean(0), 0.65 * training.centres()[k], atol=off, rtol=0)
        torch.testing.assert_close(mine.var(0), torch.ones(training.INPUTS, dtype=torch.float64), atol=2 * off, rtol=0)


def test_the_best_classifier_is_bayes_rule() -> None:
    x, answers = training.draw(4000, 0.35, torch.Generator().manual_seed(6))
    logs = -(x[:, None] - 0.35 * training.centres()).square().sum(-1) / 2
    torch.testing.assert_close(training.best_logits(x, 0.35).log_softmax(-1), logs.log_softmax(-1))
    found = training.ideal("high")
    assert found.accuracy == pytest.approx(float((logs.argmax(-1) == answers).double().mean()), abs=0.03)
    assert training.ideal("low").accuracy == pytest.approx(0.89, abs=0.01) and found.accuracy == pytest.approx(
        0.55, abs=0.01
    )
    # It is calibrated: what is left is the finite sample, √(p (1 − p) / n) in each of ten bins.
    assert 0 < training.ideal("low").ece < 0.02 and 0 < found.ece < 0.03


def test_the_bins_hold_every_answer() -> None:
    logs = torch.tensor([[[0.95, 0.05], [0.5, 0.5], [0.32, 0.68], [0.0, 1.0]]], dtype=torch.float64).log()
    size, hits, sure = training.binned(logs, torch.tensor([0, 0, 0, 1]))
    assert size.tolist() == [[0, 0, 0, 0, 0, 1, 1, 0, 0, 2]] and hits.tolist() == [[0, 0, 0, 0, 0, 1, 0, 0, 0, 2]]
    assert sure[0, 5].item() == pytest.approx(0.5) and sure[0, 6].item() == pytest.approx(0.68)
    assert sure[0, 9].item() == pytest.approx(0.975) and sure[0, 0] == 0


def test_the_first_steps_are_torchs_adam_on_the_smoothed_loss() -> None:
    """Five steps of ε = 0.2 by hand: the same draws, the same weights, torch's own loss."""
    run = next(training.train("high", 500, 3))
    g = torch.Generator().manual_seed(1003)
    x, answers = training.draw(500, 0.35, g)
    validation, test = (training.draw(n, 0.35, g) for n in (2000, 4000))
    arm = training.SMOOTHINGS.index(0.2)
    weights = [w.detach()[arm : arm + 1].clone().requires_grad_() for w in training.first_weights(g, 5)]
    adam, kept = torch.optim.Adam(weights, lr=0.003), []
    for _ in range(5):
        batch = torch.randint(0, 500, (128,), generator=g)
        loss = F.cross_entropy(training.answer(weights, x[batch])[0], answers[batch], label_smoothing=0.2)
        adam.zero_grad()
        loss.backward()
        adam.step()
        kept.append(float(loss.detach()))
    assert run.at.tolist() == [5] and float(run.loss[0, arm]) == pytest.approx(sum(kept) / 5, rel=1e-9)
    for (inputs, right), measured in ((validation, run.plain), (test, run.nll)):
        _, logits = plain_net(weights, 0, inputs)
        assert float(measured[0, arm]) == pytest.approx(float(F.cross_entropy(logits, right)), rel=1e-9)
    named = plain_net(weights, 0, validation[0])[1].argmax(-1)
    assert float(run.right[0, arm]) == pytest.approx(float((named == validation[1]).double().mean()))
    assert run.size[0].sum(-1).tolist() == [4000] * 5


def test_the_runs_of_all_epsilons_start_alike() -> None:
    weights = training.first_weights(torch.Generator().manual_seed(0), 5)
    assert all(torch.equal(w[0], w[4]) for w in weights)
    assert float(weights[0].detach()[0].var()) == pytest.approx(2 / 20, rel=0.15)
    assert float(weights[2].detach()[0].var()) == pytest.approx(2 / 64, rel=0.15)


def test_following_takes_plain_steps_and_measures_the_gap() -> None:
    """Three steps by hand."""
    run = some(training.follow(1), 3)
    g = torch.Generator().manual_seed(2001)
    answers = torch.arange(10).repeat_interleave(20)
    x, fresh = (training.centres()[answers] + torch.randn(200, 20, generator=g, dtype=torch.float64) for _ in range(2))
    weights = training.first_weights(g, 2)
    for _ in range(3):
        loss = sum(
            F.cross_entropy(training.answer(weights, x)[arm], answers, label_smoothing=epsilon)
            for arm, epsilon in enumerate((0.0, 0.1))
        )
        gradients = torch.autograd.grad(loss, weights)
        weights = [(w - 0.3 * d).detach().requires_grad_() for w, d in zip(weights, gradients, strict=True)]
    assert run.at.tolist() == [1, 2, 3]
    for arm in (0, 1):
        _, logits = plain_net(weights, arm, x)
        right = logits[torch.arange(200), answers]
        gap = right - (logits.sum(-1) - right) / 9
        assert float(run.gap[-1, arm]) == pytest.approx(float(gap.mean()), rel=1e-9)
        assert float(run.spread[-1, arm]) == pytest.approx(float(gap.std(correction=0)), rel=1e-9)
        # In the plane: distances within it are those of the features, projected, in units of the centres' mean distance.
        hidden, _ = plain_net(weights, arm, x[:60])
        columns = weights[4].detach()[arm][:, :3]
        basis = torch.linalg.qr(torch.stack([columns[:, 1] - columns[:, 0], columns[:, 2] - columns[:, 0]], -1)).Q
        flat = (hidden @ basis).unflatten(0, (3, 20))
        middle = flat.mean(1)
        unit = (middle - middle.mean(0)).norm(dim=-1).mean()
        torch.testing.assert_close(
            torch.cdist(run.seen[-1, arm, 0], run.seen[-1, arm, 2]), torch.cdist(flat[0], flat[2]) / unit
        )
        torch.testing.assert_close(
            run.seen[-1, arm].mean((0, 1)), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0
        )
        hidden_fresh, _ = plain_net(weights, arm, fresh[:60])
        flat_fresh = (hidden_fresh @ basis).unflatten(0, (3, 20))
        torch.testing.assert_close(
            torch.cdist(run.seen[-1, arm, 1], run.fresh[-1, arm, 1]), torch.cdist(flat[1], flat_fresh[1]) / unit
        )


def test_scatter_is_within_over_between() -> None:
    """Three centres at distance 1 from their mean, each with two points half a unit off."""
    angles = torch.tensor([0.0, 2.0, 4.0]) * math.pi / 3
    middle = torch.stack([angles.cos(), angles.sin()], -1)
    points = torch.stack([middle + 0.5, middle - 0.5], 1)
    assert float(training.scatter(points)) == pytest.approx(math.sqrt(0.5))


def test_nobody_waits_long_for_a_slice() -> None:
    """Between two results of a generator lie at most 25 steps."""
    seen = [0, *sorted({*training.SNAPSHOTS, *range(25, training.STEPS, 25)})]
    assert max(b - a for a, b in itertools.pairwise(seen)) <= 25
    run = training.train("low", 500, 0)
    ats = [int(next(run).at[-1]) for _ in range(6)]
    assert ats[:4] == [5, 10, 20, 20] and ats == sorted(ats)


# ---------------------------------------------------------------------------------------------- what is shipped


def test_the_shipped_runs_begin_as_the_program_begins() -> None:
    """The first steps, closely; what comes later may differ on another processor."""
    for noise, n, seed in (("low", 500, 0), ("high", 8000, 4)):
        now, kept = some(training.train(noise, n, seed), 2), training.trained(noise, n, seed)  # type: ignore[arg-type]
        torch.testing.assert_close(now.loss, kept.loss[:2], atol=1e-3, rtol=0)
        torch.testing.assert_close(now.plain, kept.plain[:2], atol=1e-3, rtol=0)
    now, kept_gaps = some(training.follow(2), 4), training.followed(2)
    torch.testing.assert_close(now.gap, kept_gaps.gap[:4], atol=1e-3, rtol=0)
    torch.testing.assert_close(now.seen, kept_gaps.seen[:4], atol=0.02, rtol=0)


def test_everything_is_shipped() -> None:
    for noise in training.SCALES:
        for n in training.SIZES:
            for seed in training.SEEDS:
                run = training.trained(noise, n, seed)
                assert run.at.tolist() == list(training.SNAPSHOTS) and run.done == 1
                assert run.loss.shape == (21, 5) and run.size.shape == run.confidence.shape == (21, 5, 10)
                assert (run.size.sum(-1) == training.TEST).all() and (run.hits <= run.size).all()
    for seed in training.SEEDS:
        gaps = training.followed(seed)
        assert gaps.gap.shape == (len(training.TIMES), 2) and gaps.seen.shape == (len(training.TIMES), 2, 3, 20, 2)
        assert gaps.done == 1 and gaps.at.tolist() == list(training.TIMES)
    assert training.SNAPSHOTS[-1] == training.STEPS and training.TIMES[-1] == training.FULL_STEPS


def test_a_run_that_is_trained_again_has_the_shipped_outcome() -> None:
    """To the step where 500 examples are learned by heart: hard targets are too sure, smoothed ones are not."""
    *_, run = (p for p, _ in zip(training.train("low", 500, 1), range(14), strict=False))
    kept = training.trained("low", 500, 1)
    now = int(run.at[-1])
    shipped_at = kept.at.tolist().index(now)
    assert now >= 120
    for e in (0, 2, 4):
        for name in ("plain", "nll"):
            assert float(getattr(run, name)[-1, e]) == pytest.approx(float(getattr(kept, name)[shipped_at, e]), abs=0.1)


def test_the_outcome_takes_each_epsilon_at_its_own_snapshot() -> None:
    run = training.trained("low", 2000, 3)
    by_loss = training.outcome(run, "loss")
    for e in range(5):
        at = run.plain[:, e].tolist().index(min(run.plain[:, e].tolist()))
        assert by_loss.step[e] == training.SNAPSHOTS[at] and by_loss.nll[e] == run.nll[at, e]
        best = run.right[:, e].tolist().index(max(run.right[:, e].tolist()))
        assert training.outcome(run, "accuracy").step[e] == training.SNAPSHOTS[best]
    assert training.outcome(run, "end").step.tolist() == [1000] * 5
    assert len(set(by_loss.step.tolist())) > 1, "not all at one step"


def test_numbers_are_written_short_and_read_back() -> None:
    run = training.trained("high", 2000, 1)
    again = training._tensors(training.Progress, training._content(run), len(training.SNAPSHOTS))
    for name, values in zip(("loss", "plain", "right", "nll", "size", "hits", "confidence"), again, strict=True):
        torch.testing.assert_close(values, getattr(run, name), atol=0, rtol=0)


def test_the_file_says_how_it_was_made() -> None:
    text = (FOLDER / "label_smoothing.json").read_text("utf-8")
    content = json.loads(text)
    assert content["command"] == "python -m core.training label_smoothing" and content["seeds"] == [0, 1, 2, 3, 4]
    assert len(content["result"]["cells"]) == 30 and len(content["result"]["gaps"]) == 5
    assert len(text) < 900_000
