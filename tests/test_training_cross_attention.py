"""The runs of question 12: the model is torch's, the data are as described, the shipped runs are what the program gives."""

import itertools
import json
import math
import struct
from datetime import date

import pytest
import torch
from torch import nn

from core.ops.dates import STYLES, read
from core.ops.positions import sinusoidal
from core.training import cross_attention as model
from core.training.shipped import FOLDER, shipped
from core.training.tensors import load, save

SURE = 4  # the first steps, which every kind of processor computes alike; afterwards training amplifies its rounding


def until(step: int, seed: int) -> model.Progress:
    return next(itertools.islice(model.train(seed), step - 1, None))


def torchs(weights: model.Weights) -> nn.Transformer:
    """nn.Transformer with our weights: Pre-Norm, biases 0, gains 1, and no norm that learns."""
    d, f = model.WIDTH, model.D_FF
    whole = nn.Transformer(
        d, model.HEADS, 2, 2, f, dropout=0, batch_first=True, norm_first=True, bias=False, dtype=torch.float64
    )
    with torch.no_grad():
        for stack in ("encoder", "decoder"):
            for i, layer in enumerate(getattr(whole, stack).layers):
                kinds = {"self": layer.self_attn} | ({"cross": layer.multihead_attn} if stack == "decoder" else {})
                for name, attention in kinds.items():
                    q, k, v, o = weights[f"{stack}.{name}"][i]
                    attention.in_proj_weight.copy_(torch.cat([q.T, k.T, v.T]))
                    attention.out_proj.weight.copy_(o.T)
                layer.linear1.weight.copy_(weights[f"{stack}.up"][i].T)
                layer.linear2.weight.copy_(weights[f"{stack}.down"][i].T)
    return whole.eval()


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("first", [True, False])
def test_the_model_is_torchs_transformer(first: bool) -> None:
    """With padding in the source; at its first weights and as shipped."""
    weights = {k: w.detach() for k, w in model.first_weights(0).items()} if first else model.trained()
    tokens = model.batch_of(["Sunday 3 May 1987", "03-May-87", "x"])
    written = torch.randint(0, model.VOCABULARY, (3, 11), generator=torch.Generator().manual_seed(0))
    padding = tokens == model.PAD
    x = weights["embed"][tokens] + sinusoidal(tokens.shape[-1], model.WIDTH)
    y = weights["embed"][model.shifted(written)] + sinusoidal(11, model.WIDTH)
    with torch.no_grad():
        expected = torchs(weights)(
            x, y,
            tgt_mask=torch.ones(11, 11, dtype=torch.bool).triu(1),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )  # fmt: skip
    ours = model.decode(weights, written, model.encode(weights, tokens), ~padding).logits
    torch.testing.assert_close(ours, expected @ weights["head"])


def test_shifted_begins_with_start_and_drops_the_last() -> None:
    assert model.shifted(torch.tensor([[7, 8, 9]])).tolist() == [[model.START, 7, 8]]


def test_text_to_tokens_and_back() -> None:
    assert model.spell(model.code("Sunday, 3-May '87")) == "sunday, 3-may '87"
    assert model.spell([*model.code("a"), model.END, 5]) == "a" and model.spell([model.PAD, model.START]) == "··"
    assert model.batch_of(["a", "abc"]).tolist() == [[3, 0, 0], [3, 4, 5]]


def test_what_is_trained_is_what_is_tested_but_for_the_days() -> None:
    train_on, held = model.split()
    assert len(train_on) + len(held) == 36_525 and len(held) == 3652 and not set(train_on) & set(held)
    days = {day.isoformat() for day in train_on}
    for source, answer in itertools.islice(model.batches(0), 3):
        assert len(source) == len(answer) == model.BATCH
        for s, a in zip(source.tolist(), answer.tolist(), strict=True):
            text = model.spell([*(t for t in s if t != model.PAD)])
            meant = read(text)
            assert meant is not None and meant.isoformat() == model.spell(a) and model.spell(a) in days
            assert a[-1] == model.END
    texts, right = model.test_set()
    assert len(texts) == len(right) == len(held) and len({*texts}) == len(texts)
    assert texts[5] == STYLES[5](held[5]) and model.spell(right[5].tolist()) == held[5].isoformat()


def test_the_first_loss_is_that_of_knowing_nothing() -> None:
    assert float(until(1, 0).losses[0]) == pytest.approx(math.log(model.VOCABULARY), rel=0.15)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [model.learning_rate(step, model.STEPS) for step in range(1, model.STEPS + 1)]
    assert rates[0] == pytest.approx(model.RATE / 50) and max(rates) == rates[49] == model.RATE
    assert rates[-1] == pytest.approx(model.RATE / 50) and rates[50:] == sorted(rates[50:], reverse=True)


def test_the_same_seed_gives_the_same_bits_and_another_another_curve() -> None:
    first, second, other = (until(3, seed) for seed in (0, 0, 1))
    assert torch.equal(first.losses, second.losses) and torch.equal(first.alignment, second.alignment)
    assert not torch.equal(first.losses, other.losses)
    assert first.done == 3 / model.STEPS


@pytest.mark.parametrize("seed", model.SEEDS)
def test_the_shipped_curve_begins_as_the_program_begins(seed: int) -> None:
    """The shipped losses have three digits."""
    again, kept = until(SURE, seed), model.trained_run(seed)
    torch.testing.assert_close(again.losses, kept.losses[:SURE], rtol=0.006, atol=0)
    assert len(kept.losses) == model.STEPS and kept.done == 1 and int(kept.checked_at[-1]) == model.STEPS


@pytest.mark.parametrize("seed", model.SEEDS)
def test_every_shipped_run_has_learned(seed: int) -> None:
    kept, found = model.trained_run(seed), model.shipped_outcomes(seed)
    assert float(kept.losses[-10:].mean()) < 0.01 and float(kept.exact[-1]) > 0.95 and float(kept.exact[0]) == 0
    assert found["exact"]["whole"] > 0.99 and found["exact"]["reordered"] == found["exact"]["whole"]
    assert found["different"]["cut"] == 1 and found["other"]["swapped"] > 0.99
    torch.testing.assert_close(kept.alignment.sum(-1), torch.ones(11, dtype=torch.float64), atol=1e-3, rtol=0)


def test_the_shipped_outcomes_are_those_of_the_shipped_weights(monkeypatch) -> None:
    """Every condition again, on the texts of one length."""
    weights, (source, right) = model.trained(), next(itertools.islice(model.groups(), 6, None))
    source, right = source[:24], right[:24]
    share = {name: model.exact_match(model.under(name, weights, source), right) for name in model.CONDITIONS}
    assert share["whole"] == share["reordered"] == 1
    assert (
        max(share[name] for name in ("cut", "swapped", "handed over", "causal", "shuffled")) < 0.2
        and share["beside"] < 1
    )
    swapped = model.under("swapped", weights, source)
    assert torch.equal(swapped, right.roll(-1, 0))
    handed = model.under("handed over", weights, source)
    assert torch.equal(handed[:, :4], right[:, :4])
    assert model.exact_match(handed[:, 4:], right.roll(-1, 0)[:, 4:]) > 0.9
    assert len(model.under("cut", weights, source).unique(dim=0)) == 1
    assert model.exact_match(model.padded(weights, 8, True, source), right) == 1
    assert model.exact_match(model.padded(weights, 16, False, source), right) < 0.95
    monkeypatch.setattr(model, "groups", lambda: iter([(source, right)]))
    found = model.hiding(weights, most=12)
    assert 0.1 < found["favourite"] < 0.6 and found["others"] < 0.05


def test_the_layers_beside_are_in_order_and_its_share_is_the_shipped_one() -> None:
    """Of the first seed, whose weights are shipped: the first layer reads the first, over one length of the test set."""
    weights, (source, right) = model.trained(), next(itertools.islice(model.groups(), 6, None))
    layers = model.encode_embedded(weights, model.embed(weights, source), source != model.PAD)
    seen = source != model.PAD
    assert torch.equal(model.under("beside", weights, source), model.write(weights, (layers[0], layers[1]), seen))
    beside = model.exact_match(model.under("beside", weights, source), right)
    n, shipped_share = len(source), model.shipped_outcomes(0)["exact"]["beside"]
    assert abs(beside - shipped_share) < 4 * math.sqrt(0.25 / n)


def test_a_causal_token_sees_as_many_characters_as_its_place() -> None:
    """The first token one, the second two: what stands further behind does not change it."""
    weights, tokens = model.trained(), model.batch_of([model.PROBE])
    memory, written, seen = model.encode(weights, tokens), model.answers([date(1987, 5, 3)]), tokens != model.PAD
    whole = model.decode(weights, written, memory, seen, causal=True).logits[0]
    for j in (1, 3, 9):
        other = memory.clone()
        other[:, j] += 1
        moved = (model.decode(weights, written, other, seen, causal=True).logits[0] != whole).any(-1)
        assert moved.tolist() == [t >= j for t in range(11)]


def test_a_shuffle_keeps_padding_at_its_place() -> None:
    seen = torch.tensor([[True] * 5 + [False] * 2, [True] * 7])
    order = model.shuffles(seen)
    assert order[0, 5:].tolist() == [5, 6] and sorted(order[0].tolist()) == sorted(order[1].tolist()) == list(range(7))
    assert order[1].tolist() != list(range(7))


def test_what_is_shipped_says_where_it_comes_from() -> None:
    content = shipped("cross_attention")
    assert content["command"] == "python -m core.training cross_attention" and content["seeds"] == [0, 1, 2]
    assert content["torch"] and content["seconds"] > 0 and "NaN" not in json.dumps(content)
    assert (FOLDER / "cross_attention.json").stat().st_size < 1_000_000
    assert (FOLDER / model.FILE).stat().st_size < 2_000_000


# ---------------------------------------------------------------------------------------------- the file of weights


def test_a_file_of_weights_is_what_the_format_says(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("core.training.tensors.FOLDER", tmp_path)
    weights = {"a": torch.arange(6.0).reshape(2, 3), "b.c": torch.tensor([[[math.pi]]], dtype=torch.float64)}
    save("x.safetensors", weights)
    again = load("x.safetensors")
    assert list(again) == ["a", "b.c"] and torch.equal(again["a"], weights["a"])
    assert again["b.c"].shape == (1, 1, 1) and float(again["b.c"]) == pytest.approx(math.pi, rel=1e-7)
    content = (tmp_path / "x.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0 and header["a"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    assert struct.unpack("<6f", content[8 + length : 8 + length + 24]) == (0, 1, 2, 3, 4, 5)
    for n in range(8):  # whatever the header's own length
        save("y.safetensors", {"a" * (n + 1): torch.ones(1)})
        (length,) = struct.unpack_from("<Q", (tmp_path / "y.safetensors").read_bytes())
        assert length % 8 == 0 and load("y.safetensors")["a" * (n + 1)].tolist() == [1]
    with pytest.raises(FileNotFoundError, match=r"python -m core\.training nothing"):
        load("nothing.safetensors")


def test_the_package_reads_the_shipped_file() -> None:
    package = pytest.importorskip("safetensors.torch")
    theirs = package.load_file(FOLDER / model.FILE)
    assert set(theirs) == set(model.trained())
    assert all(torch.equal(theirs[name].double(), weight) for name, weight in model.trained().items())
