"""Question 20's trainings: batched runs are plain encoders, positions are what breaks symmetry, and what is shipped is what they give."""

import itertools
import json
import math

import pytest
import torch
import torch.nn.functional as F

from core.ops.positions import sinusoidal
from core.training import universality as training
from core.training.shipped import FOLDER, shipped


def plain(weights: training.Weights, run: int, x: torch.Tensor, causal: bool, slopes=(0.0, 0.0)) -> torch.Tensor:
    """One run, a head at a time, with explicit loops over what may be seen."""
    w = {name: value[run] for name, value in weights.items()}
    n, d = x.shape[-2:]
    for i in range(training.DEPTH):
        q, k, v = (F.layer_norm(x, (d,)) @ w[f"qkv{i}"]).split(d, -1)
        outs = []
        for h in range(training.HEADS):
            part = slice(h * d // 2, (h + 1) * d // 2)
            scores = q[..., part] @ k[..., part].mT / math.sqrt(d // 2)
            for a, b in itertools.product(range(n), range(n)):
                scores[..., a, b] += -math.inf if causal and b > a else -slopes[h] * (a - b)
            outs.append(scores.softmax(-1) @ v[..., part])
        x = x + torch.cat(outs, -1) @ w[f"out{i}"]
        hidden = (F.layer_norm(x, (d,)) @ w[f"up{i}"] + w[f"up_bias{i}"]).relu()
        x = x + hidden @ w[f"down{i}"] + w[f"down_bias{i}"]
    return F.layer_norm(x, (d,)) @ w["head"] + w["head_bias"]


def noisy(weights: training.Weights) -> training.Weights:
    """Detached, in float64, with biases that are not 0."""
    g = torch.Generator().manual_seed(5)
    return {
        name: (w if "bias" not in name else w + torch.randn(w.shape, generator=g)).detach().double()
        for name, w in weights.items()
    }


def until(step: int, *which) -> training.Progress:
    return next(p for p in training.train(*which) if int(p.at[-1]) >= step)


def test_the_batched_runs_are_plain_encoders() -> None:
    weights = noisy(training.first_weights(8, 2, (0, 3), 4, 4, 4))
    tokens = training.texts()[::37]
    for placed in (0.0, 1.0):
        found = training.answer(weights, tokens, torch.full((2, 1, 1, 1), placed, dtype=torch.float64))
        for run in (0, 1):
            x = weights["embed"][run][tokens] + placed * weights["place"][run]
            torch.testing.assert_close(found[run], plain(weights, run, x, causal=False))


@pytest.mark.parametrize(("scheme", "causal"), [("one pass", False), ("one pass, no positions", False), ("steps", True), ("steps, sinusoids", True)])  # fmt: skip
def test_each_scheme_is_what_its_name_says(scheme: training.Scheme, causal: bool) -> None:
    weights = noisy(training.first_weights(8, 2, (1,), 5, 2, 1))
    tokens = training.spoken(training.bits_of(3))
    x = weights["embed"][0][tokens]
    if scheme in ("one pass", "steps, sinusoids"):
        x = x + sinusoidal(tokens.shape[1], 8).float()
    slopes = (1.0, 0.25) if scheme == "steps" else (0.0, 0.0)
    found = training.parity_logits(weights, tokens, scheme, None)[0]
    torch.testing.assert_close(found, plain(weights, 0, x, causal, slopes), atol=1e-6, rtol=1e-5)


def test_without_positions_a_reordered_text_has_reordered_answers() -> None:
    weights = noisy(training.first_weights(8, 2, (0,), 4, 4, 4))
    tokens, order = training.texts(), [2, 0, 3, 1]
    for placed, alike in ((0.0, True), (1.0, False)):
        here, there = (
            training.answer(weights, t, torch.full((1, 1, 1, 1), placed, dtype=torch.float64))
            for t in (tokens, tokens[:, order])
        )
        assert torch.allclose(here[:, :, order], there, atol=1e-9) == alike


def test_padding_changes_nothing() -> None:
    weights = noisy(training.first_weights(8, 2, (0,), 5, 2, 1))
    for scheme in training.SCHEMES:
        tokens, padded, due = training.lessons(scheme)
        found = training.parity_logits(weights, tokens, scheme, padded)
        for row in (0, 1, 20, 60, 125):
            real = ~padded[row]
            alone = training.parity_logits(weights, tokens[row : row + 1, real], scheme, None)
            torch.testing.assert_close(found[:, row, real], alone[:, 0])
        assert len(tokens) == 126 and (due[padded] == -1).all()


def test_the_lessons_ask_for_parities() -> None:
    tokens, _, due = training.lessons("one pass")
    assert (tokens[:, 0] == training.START).all() and (due[:, 1:] == -1).all()
    assert torch.equal(due[:, 0], tokens[:, 1:].sum(-1) % 2)
    tokens, _, due = training.lessons("steps")
    row = int((tokens == torch.tensor([2, 1, 4, 1, 3, 0, 3, 1, 4, 0, 4, 0, 4])).all(-1).nonzero()[0, 0])
    assert due[row].tolist() == [-1, 1, -1, 0, -1, 0, -1, 1, -1, 1, -1, 1, -1]


def test_bits_are_all_texts_or_drawn() -> None:
    assert len({tuple(row) for row in training.bits_of(6).tolist()}) == 64
    assert training.bits_of(12).shape == (training.MANY, 12) and training.bits_of(40).shape == (training.FEW, 40)
    assert 0.45 < float(training.bits_of(40).double().mean()) < 0.55


def test_reading_in_steps_goes_by_what_was_written() -> None:
    """Token by token, each answer appended; untrained models then end elsewhere than along the true parities."""
    seeds = (0, 1, 2, 3, 4, 5)
    weights = noisy(training.first_weights(8, 2, seeds, 5, 2, 1))
    bits = training.bits_of(5)
    true, along = bits.sum(-1) % 2, training.spoken(bits)[:, :-1]
    by_hand, told = [], []
    for run in range(len(seeds)):
        one = {name: w[run : run + 1] for name, w in weights.items()}
        tokens = torch.full((len(bits), 1), training.START)
        for t in range(bits.shape[1]):
            tokens = torch.cat([tokens, bits[:, t : t + 1]], 1)
            written = training.parity_logits(one, tokens, "steps", None)[0, :, -1].argmax(-1)
            tokens = torch.cat([tokens, 3 + written[:, None]], 1)
        by_hand.append(float((written == true).double().mean()))
        told.append(
            float((training.parity_logits(one, along, "steps", None)[0, :, -1].argmax(-1) == true).double().mean())
        )
    assert training.read(weights, "steps", bits).tolist() == by_hand != told


def test_the_same_seed_gives_the_same_curve() -> None:
    first, second, other = (until(10, 3, seeds).loss for seeds in ((0,), (0,), (1,)))
    assert torch.equal(first, second) and not torch.equal(first, other)
    assert len(set(first[:, 0, 0].tolist())) == 2, "without and with positions differ from the first step on"


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    """As the recipe of the shipped file has it: 0.004 for tables, 0.002 for parities, linear over 50 steps, then half a cosine."""
    assert (training.RATE, training.PARITY_RATE) == (0.004, 0.002)
    for step, share in ((25, 0.5), (50, 1), (300, 1), (600, 1)):
        wave = 0.5 * (1 + math.cos(math.pi * step / 600))
        assert training._rate(step, 600, 0.004) == pytest.approx(0.004 * share * wave, abs=1e-12)


def test_a_table_is_drawn_by_its_seed() -> None:
    assert torch.equal(training.table(4), training.table(4)) and not torch.equal(training.table(4), training.table(5))
    assert len({tuple(t) for t in training.texts().tolist()}) == training.TEXTS


def test_what_is_shipped_says_where_it_comes_from() -> None:
    content = shipped("universality")
    assert content["command"] == "python -m core.training universality" and content["seeds"] == list(training.SEEDS)
    assert content["torch"] and (FOLDER / "universality.json").stat().st_size < 1_000_000
    assert "NaN" not in json.dumps(content) and not training.PARTS.exists()


def test_the_shipped_table_begins_as_the_program_does_and_ends_as_it_says() -> None:
    kept = training.trained()
    again = until(10, 0, training.SEEDS)
    torch.testing.assert_close(kept.loss[..., 0], again.loss[..., 0], atol=0, rtol=1e-3)
    torch.testing.assert_close(kept.loss[..., 1], again.loss[..., 1], atol=0, rtol=0.05)
    assert kept.done == 1 and kept.right.shape == (2, len(training.SEEDS), len(kept.at))
    assert (kept.right[1, :, -1] == training.ANSWERS).all() and (kept.right[0, :, -1] == 404).all()


def test_the_shipped_parities() -> None:
    for scheme in training.SCHEMES:
        found = training.parities(scheme)
        assert found.shape == (len(training.SEEDS), len(training.READ_AT)) and ((found >= 0) & (found <= 1)).all()
    assert (training.parities("steps") == 1).all()
    assert float(training.parities("one pass")[:, -1].max()) < 0.7


def test_the_shipped_sizes() -> None:
    found = training.sizes()
    assert found.shape == (len(training.WIDTHS), len(training.DEPTHS), len(training.SIZE_SEEDS))
    assert training.parameters(32, 2) == 4 * 32 + 4 * 32 + 2 * (12 * 32 * 32 + 5 * 32) + 4 * 32 + 4


def test_a_broken_off_training_goes_on_behind_what_is_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(training, "PARTS", tmp_path / "part.json")
    monkeypatch.setattr(training, "FOLDER", tmp_path)
    parts: dict = {}
    assert training._kept(parts, "a", lambda: [1]) == [1]
    again = json.loads(training.PARTS.read_text("utf-8"))
    assert training._kept(again, "a", lambda: pytest.fail("made twice")) == [1]
