"""Question 10: the equations against torch's, who acts on whom against the wiring, and what is said of neurons and shares."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.concepts.feed_forward import concept, losses
from core.experiments import feed_forward as layers
from core.experiments import quadratic_cost
from core.experiments.feed_forward import PARTS
from core.experiments.masking import SENTENCE
from core.experiments.parameters import matrices_of, one_of_each
from core.models import FeedForward, counted_flops
from core.ops import counting
from core.ops.feedforward import feed_forward, fires, recalled, xor_neurons
from core.presets import preset
from core.training import cross_attention as dates
from core.training.feed_forward import BITS, TARGET

SIZES = st.integers(1, 7)
quick = settings(deadline=None, derandomize=True, max_examples=25)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- equations


@quick
@given(b=SIZES, n=SIZES, d=SIZES, f=SIZES, seed=st.integers(0, 99))
def test_the_layer_is_torchs_and_the_sum_over_its_neurons(b: int, n: int, d: int, f: int, seed: int) -> None:
    x, w_1, w_2 = normal(b, n, d, seed=seed), normal(d, f, seed=seed + 1), normal(f, d, seed=seed + 2)
    torchs = nn.Sequential(nn.Linear(d, f, bias=False), nn.ReLU(), nn.Linear(f, d, bias=False)).double()
    with torch.no_grad():
        torchs[0].weight.copy_(w_1.T)
        torchs[2].weight.copy_(w_2.T)
        expected = torchs(x)
    torch.testing.assert_close(feed_forward(x, w_1, w_2), expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(recalled(fires(x, w_1), w_2), expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(recalled(fires(x, w_1, "none"), w_2), x @ w_1 @ w_2, atol=1e-12, rtol=1e-12)


@quick
@given(d=SIZES, f=st.integers(2, 7), seed=st.integers(0, 99))
def test_a_neuron_is_a_column_and_a_row(d: int, f: int, seed: int) -> None:
    x, keys, values = normal(3, d, seed=seed), normal(d, f, seed=seed + 1), normal(f, d, seed=seed + 2)
    a = fires(x, keys)
    for m in range(f):
        assert torch.allclose(a[:, m], (x @ keys[:, m]).clamp(min=0))
        alone = torch.outer(a[:, m], values[m])
        torch.testing.assert_close(recalled(a, values, [m]), alone)
    halves = recalled(a, values, list(range(1))) + recalled(a, values, list(range(1, f)))
    torch.testing.assert_close(halves, recalled(a, values))
    with pytest.raises(IndexError):
        recalled(a, values, [f])


def test_two_neurons_make_an_exclusive_or_and_without_relu_a_constant() -> None:
    bits = torch.tensor(BITS, dtype=torch.float64)
    assert xor_neurons(bits).tolist() == list(TARGET)
    # a + b − 2 (a + b − 1) = 2 − a − b, a plane.
    assert xor_neurons(bits, "none").tolist() == [2.0, 1.0, 1.0, 0.0]


def test_no_plane_costs_less_than_a_guess_and_none_has_four_cases_right() -> None:
    """The floor that the trained models stay at: the best affine logit is 0 everywhere."""
    x = torch.tensor([[*bits, 1.0] for bits in BITS], dtype=torch.float64)
    target = torch.tensor(TARGET, dtype=torch.float64)
    zero = torch.zeros(3, dtype=torch.float64)

    def cost(plane: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(x @ plane, target)

    slope = torch.func.grad(cost)(zero)
    assert slope.abs().max() < 1e-15 and float(cost(zero)) == pytest.approx(math.log(2))  # convex: its least value
    planes = normal(3, 20_000, seed=1)
    right = ((x @ planes > 0) == (target > 0.5)[:, None]).double().mean(0)
    losses_ = F.binary_cross_entropy_with_logits(x @ planes, target[:, None].expand(4, 20_000), reduction="none").mean(
        0
    )
    assert layers.slope_at_a_guess() == float(slope.abs().max()) == 0 < layers.slope_at_a_guess("and")
    assert right.max() == 0.75 and losses_.min() >= math.log(2)
    assert losses_[right == 0.75].min() > math.log(2), "three of four right, and the loss is higher for it"


# ---------------------------------------------------------------------------------------------- its part of the weights


@pytest.mark.parametrize("name", ["GPT-2 small", "Llama 3 8B", "Qwen2.5 7B", "Mixtral 8x7B", "T5 small", "gpt-oss 20B"])
def test_the_weights_of_a_layer_are_those_that_are_built(name: str) -> None:
    a = preset(name)
    block = one_of_each(a).stack[0].get_submodule("block.0")
    forward, attention = counting.layer_weights(a)
    assert forward == matrices_of(block.get_submodule("feed_forward"))
    assert attention == matrices_of(block.get_submodule("attention"))
    assert counting.feed_forward_share(a) == forward / (forward + attention)
    used, same = counting.layer_weights(a, used=True)
    assert same == attention and (used == forward) == (a.experts == 1)
    if a.experts > 1:
        router = sum(t.per_block for t in a.terms if "router.weight" in t.path)
        assert (used - router) * a.experts == (forward - router) * a.experts_used


def test_classic_layers_have_two_thirds_and_what_is_said_of_others() -> None:
    for name in ("BERT base", "GPT-2 small", "OPT 175B", "Transformer base (2017)"):
        assert counting.feed_forward_share(preset(name)) == 2 / 3
    assert [counting.attention_overtakes(preset(n)) for n in ("GPT-2 small", "Llama 3 8B")] == [1536, 16384]
    assert round(preset("Mixtral 8x7B").parameters / 1e9) == 47
    assert (
        round(counting.active(preset("Mixtral 8x7B")) / 1e9) == 13
    )  # “47 billion parameters, of which a token meets 13”


def test_a_gated_neuron_has_two_keys() -> None:
    """What is said of SwiGLU, on the layer that PyTorch builds for Llama 3 8B’s kind; and its 3.5 d and 10.5 d²."""
    layer = FeedForward(counting.Architecture(6, 1, 1, 9, 1, gated=True)).double()
    g = torch.Generator().manual_seed(2)
    for parameter in layer.parameters():  # built without drawing any: what the memory held would be its weights
        nn.init.normal_(parameter, generator=g)
    x, (gate, up, down) = normal(4, 6), (m.weight.detach() for m in (layer.gate, layer.up, layer.down))
    each = F.silu(x @ gate.T) * (x @ up.T)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), sum(each[:, m, None] * down[:, m] for m in range(9)))
    llama = preset("Llama 3 8B")
    assert llama.gated and llama.d_ff == 3.5 * llama.d_model
    assert counting.layer_weights(llama) == (10.5 * llama.d_model**2, 2.5 * llama.d_model**2)


def test_windows_are_those_of_the_models_positions() -> None:
    assert list(layers.WINDOWS) == list(layers.SHOWN) and set(layers.WINDOWS.values()) <= set(layers.LENGTHS)
    for name, window in layers.WINDOWS.items():
        learned = preset(name).positions  # OPT never uses two of its
        assert not learned or window == learned - 2 * (name == "OPT 175B")


@quick
@given(heads=st.integers(1, 4), width=st.integers(1, 4), f=st.integers(1, 60), gated=st.booleans(), n=st.integers(1, 9))
def test_a_layers_flops_are_those_of_the_products_made(heads: int, width: int, f: int, gated: bool, n: int) -> None:
    d = heads * 2 * width
    a = counting.Architecture(d, 1, heads, f, 1, gated=gated, final_norm=False, head="none")
    share = layers.share(a)
    between = (float(share.flops_attention[1]) - float(share.flops_attention[0])) / layers.LENGTHS[0]
    assert counted_flops(a, n) == n * (share.flops_forward + 2 * share.attention + between * n)
    even = share.even
    assert share.flops_forward == pytest.approx(2 * share.attention + between * even)


def test_of_experts_only_those_work_that_are_used() -> None:
    a = counting.Architecture(16, 1, 2, 32, 1, experts=4, experts_used=2, final_norm=False, head="none", gated=True)
    share = layers.share(a)
    assert share.flops_forward == 2 * (2 * 3 * 16 * 32 + 4 * 16)
    assert share.forward == 4 * 3 * 16 * 32 + 4 * 16 and share.flops.shape == (len(layers.LENGTHS),)


@pytest.mark.parametrize("n", [64, 128, 256])
def test_both_sublayers_are_run(n: int) -> None:
    attention, forward = layers.flops_made(n)
    work = quadratic_cost.work(n, 64)
    assert attention + forward == work.total and forward == 2 * work.weights / 3
    assert (attention > forward, attention == forward) == (n > 128, n == 128)


# ---------------------------------------------------------------------------------------------- who acts on whom


def wiring(sees: layers.Sees, n: int) -> Tensor:
    i, j = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    return {"all": i >= 0, "causal": j <= i, "near": (i - j).abs() <= 1}[sees]


@pytest.mark.parametrize("sees", ["all", "causal", "near"])
@pytest.mark.parametrize("sentence", ["yes no", SENTENCE, "a b c d e f g h i j k l", "no no no no no"])
@pytest.mark.parametrize("seed", [0, 7])
def test_who_acts_is_what_the_mask_lets_through(sees: layers.Sees, sentence: str, seed: int) -> None:
    n = len(sentence.split())
    found, direct = layers.reach(sentence, sees, seed), wiring(sees, n)
    alone = torch.eye(n, dtype=torch.bool)
    twice = (direct.double() @ direct.double()) > 0
    wanted = dict(zip(PARTS, (direct, alone, direct, twice), strict=True))
    for part in PARTS:
        assert torch.equal(found.acts(part), wanted[part]), part
        assert found.pairs(part) == int(wanted[part].sum())
    assert [torch.equal(s != 0, w) for s, w in zip(found.sublayers, (direct, alone) * 2, strict=True)] == [True] * 4
    assert torch.equal(found.sublayers[0], found.strength["attention"])
    assert torch.equal(found.sublayers[1], found.strength["feed-forward"])
    assert not torch.allclose(found.sublayers[0], found.sublayers[2]), "the second block has weights of its own"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("sees", ["all", "causal", "near"])
def test_a_changed_word_says_the_same_as_the_derivative(part: layers.Part, sees: layers.Sees) -> None:
    assert torch.equal(layers.moved(part, sees), layers.reach(SENTENCE, sees).acts(part))


@pytest.mark.parametrize("part", ["attention", "two blocks"])
def test_a_strength_is_how_far_an_output_moves(part: layers.Part) -> None:
    """By differences: the root mean square over steps of 1 along each feature of the input, extrapolated from small ones."""
    x = layers.inputs(SENTENCE.split())
    output, small = layers.part(part, "causal", len(x), 3), 1e-6
    measured = torch.zeros(len(x), len(x), dtype=torch.float64)
    for j in range(len(x)):
        for feature in range(x.shape[1]):
            step = torch.zeros_like(x)
            step[j, feature] = small
            measured[:, j] += ((output(x + step) - output(x - step)) / (2 * small)).square().sum(-1)
    expected = (measured / x.shape[1]).sqrt()
    torch.testing.assert_close(layers.reach(SENTENCE, "causal", 3).strength[part], expected, rtol=1e-5, atol=1e-7)


def test_each_sublayer_is_measured_where_it_stands() -> None:
    """On the stream that reaches it, sums of skips and all."""
    found, x, seen = layers.reach(SENTENCE, "causal", 2), layers.inputs(SENTENCE.split()), layers.visible("causal", 6)
    for block, pair in zip(layers.blocks(2), (found.sublayers[:2], found.sublayers[2:]), strict=True):
        middle = x + block.attend(F.layer_norm(x, (16,)), seen)
        for stream, sublayer, strength in (
            (x, lambda y, b=block: b.attend(F.layer_norm(y, (16,)), seen), pair[0]),
            (middle, lambda y, b=block: b.think(F.layer_norm(y, (16,))), pair[1]),
        ):
            jacobian = torch.autograd.functional.jacobian(sublayer, stream)
            torch.testing.assert_close(strength, jacobian.square().sum((1, 3)).div(16).sqrt())
        x = block(x, seen)


def test_the_blocks_are_torchs() -> None:
    """One block as nn.TransformerEncoderLayer with the same weights computes it, with the causal mask."""
    first, _ = layers.blocks(5)
    module = nn.TransformerEncoderLayer(16, 2, 64, dropout=0, batch_first=True, norm_first=True, bias=False).double()
    with torch.no_grad():
        q, k, v, o = first.attention
        module.self_attn.in_proj_weight.copy_(torch.cat([q.T, k.T, v.T]))
        module.self_attn.out_proj.weight.copy_(o.T)
        module.linear1.weight.copy_(first.w_1.T)
        module.linear2.weight.copy_(first.w_2.T)
        x = layers.inputs(SENTENCE.split())
        hidden = torch.ones(6, 6, dtype=torch.bool).triu(1)
        expected = module(x[None], src_mask=hidden)[0]
        torch.testing.assert_close(layers.part("one block", "causal", 6, 5)(x), expected, atol=1e-12, rtol=1e-12)
        stacked = layers.part("two blocks", "causal", 6, 5)(x)
        torch.testing.assert_close(stacked, layers.blocks(5)[1](expected, ~hidden), atol=1e-12, rtol=1e-12)


def test_a_convolution_of_one_token_is_the_layer_and_of_three_is_not() -> None:
    assert layers.as_convolution(1, seed=4) < 1e-12 and layers.as_convolution(3, seed=4) > 0.1


@pytest.mark.parametrize("seed", range(4))
def test_the_order_test_takes_the_largest_difference(seed: int) -> None:
    """A mean of signed differences could be 0 where outputs differ."""
    x, first = layers.inputs(SENTENCE.split()), layers.blocks(seed)[0]
    seen = torch.ones(6, 6, dtype=torch.bool).tril()
    one, other = (first.attend(F.layer_norm(y, (16,)), seen) for y in (x.flip(0), x))
    assert layers.out_of_order("attention", "causal", seed) == pytest.approx(float((one - other.flip(0)).abs().max()))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_of_linearity_holds_for_other_seeds(seed: int) -> None:
    assert layers.bent(1, seed=seed) < 1e-12 and layers.bent(6, weights_held=True, seed=seed) < 1e-12
    assert layers.bent(6, seed=seed) > 0.1 and layers.bent(2, seed=seed) > 0.1
    assert layers.collapsed("none", seed) == (pytest.approx(0, abs=1e-12), 16)
    apart, rank = layers.collapsed("relu", seed)
    assert apart > 0.1 and rank == 64
    for part in ("attention", "feed-forward", "one block"):
        assert layers.out_of_order(part, "all", seed) < 1e-12
    assert layers.out_of_order("attention", "causal", seed) > 0.1
    for part in PARTS:
        assert layers.reach(SENTENCE, "all", seed).pairs(part) == (6 if part == "feed-forward" else 36)


def test_a_norm_between_two_linear_maps_makes_an_exclusive_or() -> None:
    s = torch.tensor([a + b - 1.0 for a, b in BITS], dtype=torch.float64)
    x = torch.stack([s, -s, torch.full_like(s, 0.5), torch.full_like(s, -0.5)], -1)
    expected = F.layer_norm(x, (4,), eps=0.0)[:, 2]
    found = layers.normed_xor()
    torch.testing.assert_close(found, expected)
    low, high = found[[0, 3]], found[1:3]
    assert torch.allclose(low, low[0]) and torch.allclose(high, high[0])
    torch.testing.assert_close((found - low[0]) / (high[0] - low[0]), torch.tensor(TARGET, dtype=torch.float64))
    assert layers.normed_xor(norm=False).unique().numel() == 1


# ---------------------------------------------------------------------------------------------- a trained layer's neurons


def test_what_the_layer_reads_is_what_the_decoder_hands_it() -> None:
    """Run on from there, the decoder's logits come out."""
    weights, (source, right) = dates.trained(), layers.held_out()
    source, right = source[:5], right[:5]
    memory = dates.encode(weights, source)
    heard = layers.decoder_inputs(weights, source, right)
    assert len(heard) == dates.LAYERS
    seen: list[Tensor] = []
    original = dates.feed_forward
    dates.feed_forward = lambda x, up, down: seen.append(x) or original(x, up, down)  # type: ignore[assignment, func-returns-value]
    try:
        dates.decode(weights, right, memory, source != dates.PAD)
    finally:
        dates.feed_forward = original
    for mine, theirs in zip(heard, seen, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("layer", [1, 2])
def test_the_neurons_of_a_date(layer: int) -> None:
    found = layers.memories("3rd of May 1987", layer)
    weights = dates.trained()
    keys, values = weights["decoder.up"][layer - 1], weights["decoder.down"][layer - 1]
    assert dates.spell(list(found.written)) == "1987-05-03" and found.fires.shape == (11, 256)
    source, right = dates.batch_of(["3rd of May 1987"]), torch.tensor([list(found.written)])
    x = layers.decoder_inputs(weights, source, right)[layer - 1][0]
    torch.testing.assert_close(found.fires, (x @ keys).clamp(min=0))
    lengths = torch.stack([found.fires[t][:, None] * values for t in range(11)]).norm(dim=-1)
    torch.testing.assert_close(found.sizes, lengths)
    for t in range(11):
        order = found.sizes[t][found.strongest(t, 256)]
        assert (order.diff() <= 0).all() and len(found.strongest(t)) == layers.STRONGEST
    # To raise a logit above the others is what adding a little of the value before the last norm does, up to its scale.
    centred = values - values.mean(-1, keepdim=True)
    expected = centred @ weights["head"]
    torch.testing.assert_close(found.promotes, expected - expected.mean(-1, keepdim=True))


def test_logits_are_what_all_values_say_divided_by_the_last_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each token's logit above their mean: what the stream below says and each neuron’s part, all over one size."""
    weights, found = dates.trained(), layers.memories()
    source, written = dates.batch_of([found.source]), torch.tensor([list(found.written)])
    normed: list[Tensor] = []
    original = dates.layer_norm
    monkeypatch.setattr(dates, "layer_norm", lambda x: (normed.append(x), original(x))[1])
    scores = dates.decode(weights, written, dates.encode(weights, source), source != dates.PAD).logits[0]
    stream = normed[-1][0]
    below = stream - recalled(found.fires, weights["decoder.down"][1])
    size = (stream.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    said = (below - below.mean(-1, keepdim=True)) @ weights["head"] + found.fires @ found.promotes
    torch.testing.assert_close(scores - scores.mean(-1, keepdim=True), (said - said.mean(-1, keepdim=True)) / size)
    for t, token in enumerate(found.written):
        assert int(found.promotes[found.strongest(t, 1)[0]].argmax()) == token, "what the page shows at its defaults"


@pytest.mark.parametrize("layer", [1, 2])
def test_firing_is_counted_token_by_token(layer: int) -> None:
    found = layers.firing(layer)
    weights, (source, right) = dates.trained(), layers.held_out()
    assert len(found.written) == right.numel() and torch.equal(found.written, right.flatten())
    a = fires(layers.decoder_inputs(weights, source, right)[layer - 1], weights["decoder.up"][layer - 1]).flatten(0, 1)
    for token in layers.TOKENS:
        torch.testing.assert_close(found.by_token[:, token], a[found.written == token].mean(0))
    said = layers.values_said(weights, layer)
    adds = a * weights["decoder.down"][layer - 1].norm(dim=-1)
    assert torch.equal(found.strongest, said[adds.argmax(-1)].argmax(-1))
    assert torch.equal(found.wrongly, said[(adds.argmax(-1) - 1) % 256].argmax(-1))
    assert torch.equal(found.whole, (a @ said).argmax(-1))


def test_the_held_out_dates_take_turns_through_all_styles() -> None:
    source, right = layers.held_out()
    texts, answers = dates.test_set()
    assert len(source) == len(texts[:: layers.EVERY]) == 60 and math.gcd(layers.EVERY, 16) == 1
    assert torch.equal(right, answers[:: layers.EVERY])
    assert {len(row[row != dates.PAD]) for row in source} >= {9, 20}


def test_what_is_said_of_neurons_and_of_layers_left_out() -> None:
    for every in (7, 61):
        source, right = layers.held_out(every)
        assert len(source) == len(right)
    names = [float((layers.firing(k).strongest == layers.firing(k).written).double().mean()) for k in (1, 2)]
    assert names[1] > 0.85 > names[0] > 0.4
    whole, none, last = (layers.right_without(k) for k in ((), (1, 2), (2,)))
    assert whole == 1 and last > 0.98 and 0.6 < none < 0.85
    assert 0.95 < layers.right_without((1,)) < 1
    apart, rounding = layers.summed()
    assert apart <= rounding < 1e-10 and layers.summed(255)[0] >= 0 and layers.summed(128)[0] > 0.1


# ---------------------------------------------------------------------------------------------- what is said


def test_the_prediction_is_about_the_shipped_runs() -> None:
    assert concept.prediction is not None
    measured = concept.prediction.experiment()
    assert measured == float(losses("attention").max()) == pytest.approx(math.log(2), abs=1e-6)
    right = concept.prediction.options[concept.prediction.right(measured)]
    assert "guessing" in right.text and "0.69" in concept.prediction.outcome(measured)
