"""The decoders of question 11: each encodes positions as its name says, and the shipped runs are what the program gives."""

import itertools
import json
import math

import pytest
import torch
import torch.nn.functional as F

from core.ops import masks
from core.ops.positions import alibi_slopes, rotate, sinusoidal, t5_bucket
from core.training import extrapolation as training
from core.training.shipped import FOLDER, shipped
from core.training.tensors import load

D, H = training.WIDTH, training.HEADS


def until(step: int, *cell) -> training.Progress:
    return next(p for p in training.train(*cell) if len(p.losses) >= step)


def plain(weights: training.Weights, tokens: torch.Tensor, encoding: str) -> torch.Tensor:
    """The same decoder, a head, a row and a sum at a time, with explicit softmax."""
    n = tokens.shape[-1]
    x = weights["embed"][tokens]
    if encoding == "learned":
        x = x + weights["table"][:n]
    if encoding == "sinusoidal":
        x = x + sinusoidal(n, D)
    for layer in range(training.LAYERS):
        y = F.layer_norm(x, (D,))
        q, k, v = (y @ w for w in weights["qkv"][layer].split(D, dim=-1))
        outs = []
        for h in range(H):
            part = slice(h * D // H, (h + 1) * D // H)
            query, key = q[..., part], k[..., part]
            if encoding == "rope":
                query, key = rotate(query), rotate(key)
            scores = query @ key.mT / math.sqrt(D // H)
            for i, j in itertools.product(range(n), range(n)):
                if j > i:
                    scores[..., i, j] = -math.inf
                elif encoding == "alibi":
                    scores[..., i, j] -= float(alibi_slopes(H)[h]) * (i - j)
                elif encoding == "t5":
                    scores[..., i, j] += weights["bias"][int(t5_bucket(torch.tensor(i - j))), h]
            outs.append(scores.softmax(-1) @ v[..., part])
        x = x + torch.cat(outs, -1) @ weights["out"][layer]
        hidden = (F.layer_norm(x, (D,)) @ weights["up"][layer] + weights["up_bias"][layer]).relu()
        x = x + hidden @ weights["down"][layer] + weights["down_bias"][layer]
    return F.layer_norm(x, (D,)) @ weights["head"]


@pytest.mark.parametrize("encoding", training.ENCODINGS)
def test_each_decoder_is_what_its_name_says(encoding: training.Encoding) -> None:
    weights = {name: w.detach() for name, w in training.first_weights(encoding, "next", 3).items()}
    weights["up_bias"] = torch.randn(weights["up_bias"].shape, dtype=torch.float64) / 8
    weights["down_bias"] = torch.randn(weights["down_bias"].shape, dtype=torch.float64) / 8
    tokens = training.texts("next", torch.Generator().manual_seed(4), 2, 20)[:, :20]
    torch.testing.assert_close(training.answer(weights, tokens, encoding), plain(weights, tokens, encoding))


def test_all_six_start_with_the_same_rest() -> None:
    first = training.first_weights("none", "next", 0)
    for encoding in training.ENCODINGS:
        other = training.first_weights(encoding, "next", 0)
        assert all(torch.equal(first[name], other[name]) for name in first)
        assert set(other) - set(first) == {"learned": {"table"}, "t5": {"bias"}}.get(encoding, set())


def test_a_window_hides_what_is_farther_back_and_a_remedy_changes_rope_only() -> None:
    tokens = training.texts("next", torch.Generator().manual_seed(5), 1, 12)[:, :12]
    other = tokens.clone()
    other[:, :4] = (other[:, :4] + 1) % training.VOCABULARY
    for encoding in training.ENCODINGS:
        weights = training.first_weights(encoding, "next", 0)

        def last(text: torch.Tensor, how: training.Reading, e=encoding, w=weights) -> torch.Tensor:
            return training.answer(w, text, e, how)[0, -1]

        # Two layers of a window of 4 reach 6 tokens back; one of 8 reaches them all.
        torch.testing.assert_close(last(tokens, training.Reading(4)), last(other, training.Reading(4)))
        assert not torch.allclose(last(tokens, training.Reading(8)), last(other, training.Reading(8)))
        for how in (training.Reading(divide=2.0), training.Reading(base=100.0)):
            assert torch.equal(last(tokens, how), last(tokens, training.PLAIN)) == (encoding != "rope")


def test_the_tasks_are_what_they_are_called() -> None:
    tokens = torch.tensor([[3, 1, 4, 1, 5]])
    assert training.answers("next", tokens).tolist() == [[1, 4, 1, 5]]
    assert training.answers("recall", tokens).tolist() == [[3, 3, 3, 3]]
    best = training.best("next", tokens)
    torch.testing.assert_close(best[0, 2], training.chain()[1, 4])
    torch.testing.assert_close(best[0, 0], training.pairs()[3] / training.pairs()[3].sum())
    torch.testing.assert_close(best.sum(-1), torch.ones(1, 4).double())


def test_the_best_guess_has_no_excess_and_its_excess_is_what_a_loss_has_above_it() -> None:
    tokens = training.unseen("next", 256, 64)
    best = training.best("next", tokens)
    assert float(training.excess_of(best.log(), "next", tokens).abs().max()) < 1e-12
    g = torch.Generator().manual_seed(0)
    logits = best.log() + torch.randn(best.shape, generator=g, dtype=torch.float64) / 2
    drawn = (best.log() - logits.log_softmax(-1)).gather(-1, tokens[:, 1:, None]).mean()
    assert float(training.excess_of(logits, "next", tokens).mean()) == pytest.approx(float(drawn), abs=0.02)
    recall = training.unseen("recall", 4, 16)
    sure = 50 * F.one_hot(training.answers("recall", recall), training.VOCABULARY).double()
    assert float(training.excess_of(sure, "recall", recall).max()) < 1e-9


def test_read_afresh_is_each_window_by_itself() -> None:
    weights, tokens = training.trained("sinusoidal"), training.unseen("next", 3, 80)
    found = training.afresh(weights, "sinusoidal", tokens)
    for p, value in enumerate(found):
        end = p * training.BIN + training.BIN // 2
        text = tokens[:, max(0, end + 1 - training.LENGTH) : end + 1]
        assert text.shape[-1] == min(end + 1, training.LENGTH)
        q = training.answer(weights, text, "sinusoidal")[:, -1].log_softmax(-1)
        best = training.best("next", text)[:, -1] if end < 1 else training.chain()[text[:, -2], text[:, -1]]
        assert float(value) == pytest.approx(float((best * (best.log() - q)).sum(-1).mean()), rel=1e-9)


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    rates = [training.learning_rate(step, 100) / training.RATE for step in range(1, 101)]
    assert rates[0] == pytest.approx(1 / training.WARMUP) and rates[-1] == 0
    assert rates[30] == 1 == max(rates) and rates[79] == pytest.approx(0.5) and sum(r == 1 for r in rates) > 30


@pytest.mark.parametrize("task", training.TASKS)
def test_the_same_seed_gives_the_same_bits_and_the_shipped_run(task: training.Task) -> None:
    """Its first steps, in the digits that are shipped; afterwards only outcomes are compared."""
    again, other = (until(5, "alibi", task, seed) for seed in (0, 1))
    assert torch.equal(again.losses, until(5, "alibi", task, 0).losses)
    assert not torch.equal(again.losses, other.losses)
    for seed, run in enumerate((again, other)):
        run_shipped = training.trained_run("alibi", task, seed)
        torch.testing.assert_close(run.losses[:4], run_shipped.losses[:4], rtol=6e-3, atol=0)
        torch.testing.assert_close(run.excess[0], run_shipped.excess[0], rtol=2e-2, atol=0)


@pytest.mark.parametrize("encoding", training.ENCODINGS)
@pytest.mark.parametrize("task", training.TASKS)
def test_every_run_learned_its_task_within_the_trained_length(encoding: training.Encoding, task: training.Task) -> None:
    """Without an encoding the next token is not learned to the end: two layers cannot tell the last token well."""
    near = training.outcome(encoding, task, "whole")[:, : training.LENGTH // training.BIN].mean(-1)
    assert near.shape == (len(training.SEEDS),)
    assert float(near.max()) < (0.4 if (encoding, task) == ("none", "next") else 0.1)
    for seed in training.SEEDS:
        run = training.trained_run(encoding, task, seed)
        assert run.done == 1 and len(run.asked_at) == len(run.excess) and int(run.asked_at[-1]) == run.steps


def test_what_is_shipped_says_where_it_comes_from_and_is_small() -> None:
    content = shipped("extrapolation")
    assert content["command"] == "python -m core.training extrapolation" and content["seconds"] > 0
    assert content["seeds"] == list(training.SEEDS) and "NaN" not in json.dumps(content)
    assert set(content["result"]) == {training._name(*cell) for cell in training.CELLS}
    for path in FOLDER.glob("extrapolation*"):
        assert path.stat().st_size < 1_000_000, path.name
    for encoding in training.ENCODINGS:
        assert {n: w.shape for n, w in load(training.file_of(encoding)).items()} == {
            n: w.shape for n, w in training.first_weights(encoding, "next", 0).items()
        }


def test_the_command_makes_what_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of a few steps through the same program: every key that the drawings read is there."""
    monkeypatch.setattr(training, "STEPS", {"next": 5, "recall": 5})
    monkeypatch.setattr(training, "LONGEST", {"next": 256, "recall": 256})
    monkeypatch.setattr(training, "STRETCHES", (2,))
    monkeypatch.setattr(training, "TUNED", 2)
    monkeypatch.setattr(training, "SHOWN", 2)
    monkeypatch.setattr(training, "RECALLED", 2)
    monkeypatch.setattr(training, "WARMUP", 1)
    saved: dict[str, training.Weights] = {}
    monkeypatch.setattr(training, "save", saved.__setitem__)
    threads = torch.get_num_threads()
    for encoding, task in (("rope", "next"), ("learned", "recall")):
        run = training._run((encoding, task, 0))
        wanted = shipped("extrapolation")["result"][training._name(encoding, task, 0)]
        assert set(run) == {k for k in wanted if not k.endswith((", 4", ", 8"))}
    assert list(saved) == ["extrapolation_rope.safetensors"]
    torch.set_num_threads(threads)


def test_tuning_starts_from_the_trained_weights_and_leaves_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "TUNED", 2)
    monkeypatch.setattr(training, "WARMUP", 1)
    monkeypatch.setattr(training, "LONGEST", {"next": 40, "recall": 40})
    weights = training.trained("rope")
    before = {name: w.clone() for name, w in weights.items()}
    after = training.tuned(weights, "NTK-aware", 0)
    assert all(torch.equal(before[name], weights[name]) for name in weights)
    moved = max(float((after[name] - weights[name]).detach().abs().max()) for name in weights)
    assert 0 < moved <= 2 * training.TUNE_RATE


def test_a_window_of_the_whole_text_changes_nothing() -> None:
    weights, tokens = training.trained("t5"), training.unseen("next", 2, 40)[:, :40]
    torch.testing.assert_close(
        training.answer(weights, tokens, "t5", training.Reading(40)), training.answer(weights, tokens, "t5")
    )
    assert torch.equal(training.visible(9, 3), masks.sliding_window(9, 3)) and torch.equal(
        training.visible(9, None), masks.causal(9)
    )
