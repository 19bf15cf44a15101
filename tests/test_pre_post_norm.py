"""Question 7: what the networks of the lesson are, and that their numbers are the theory's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.concepts import pre_post_norm as lesson
from core.experiments import pre_post_norm as norms
from core.memory import MEMORY, size_of
from core.ops.norms import layer_norm
from core.training import pre_post_norm as training

ORDERS = pytest.mark.parametrize("order", norms.ORDERS)
POOLS = range(3)  # pools of 64 networks each: what a sentence says holds in every one of them


def plain(order: str, depth: int, draw: int) -> tuple[list[float], list[float]]:
    """One draw alone, written as a textbook would: the gradient of every layer's second matrix, the size of the stream."""
    g, r = torch.Generator().manual_seed(0), norms.draws(64)
    x = torch.randn(r, norms.BATCH, norms.LENGTH, 64, generator=g)[draw]
    head = (torch.randn(r, 1, 64, norms.VOCABULARY, generator=g) / 8)[draw, 0]
    target = torch.randint(0, norms.VOCABULARY, (r * norms.BATCH * norms.LENGTH,), generator=g)
    target = target.unflatten(0, (r, -1))[draw]
    layers = [[w[draw].clone() for w in norms.draw(r, 64, g)] for _ in range(depth)]
    sizes = [float(x.square().mean())]
    for v, w_1, w_2 in layers:
        w_2.requires_grad_()
        for sublayer in (
            lambda y, v=v: (y @ v).mean(-2, keepdim=True).expand_as(y),
            lambda y, w_1=w_1, w_2=w_2: F.relu(y @ w_1) @ w_2,
        ):
            x = F.layer_norm(x + sublayer(x), (64,)) if order == "post" else x + sublayer(F.layer_norm(x, (64,)))
        sizes.append(float(x.detach().square().mean()))
    x = F.layer_norm(x, (64,)) if order == "pre" else x
    loss = F.cross_entropy((x @ head).flatten(0, 1), target)
    return [float(grad.norm()) for grad in torch.autograd.grad(loss, [w_2 for *_, w_2 in layers])], sizes


@ORDERS
def test_the_batched_networks_are_those_of_one_network_alone(order: norms.Order) -> None:
    ours = norms.start(3)[order]
    each = [plain(order, 3, draw) for draw in range(norms.draws(64))]
    gradients, sizes = (torch.tensor(column).mean(0) for column in zip(*each, strict=True))
    torch.testing.assert_close(ours.gradient, gradients, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(ours.size, sizes, rtol=1e-3, atol=1e-5)


@ORDERS
@pytest.mark.parametrize("width", [32, 64])
def test_the_last_gradients_are_those_of_the_whole_backward_pass(order: norms.Order, width: int) -> None:
    last = norms.last_gradients(order, width, 3, norms.draws(width), (2, 12))
    whole = torch.stack([norms.start(depth, width, 3)[order].gradient[-1] for depth in (2, 12)])
    torch.testing.assert_close(last.mean(-1), whole, rtol=1e-4, atol=0)


@pytest.mark.parametrize("seed", POOLS)
def test_the_powers_of_the_depth_exclude_their_rivals(seed: int) -> None:
    """Each is nearer to its theory than to the next rival by five standard errors."""
    for order, measure, theory in (
        ("post", norms.last_gradients, 0.0),
        ("pre", norms.last_gradients, -0.5),
        ("post", norms.amplification, 1.0),
    ):
        slopes = norms.slope(norms.POOLED_DEPTHS, measure(order, seed=seed))
        assert slopes.shape == (norms.POOLED_DRAWS,)
        mean, error = float(slopes.mean()), float(slopes.std()) / norms.POOLED_DRAWS**0.5
        assert 4 * error < 0.25 and abs(mean - theory) < 0.25 - error, (order, measure, mean, error)


@pytest.mark.parametrize("seed", POOLS)
def test_pre_norms_movement_follows_a_logarithm(seed: int) -> None:
    """Every doubling adds about the same: the root, the next rival, would add 2 times as much two doublings later."""
    moved = norms.typical(norms.amplification("pre", seed=seed))
    adds = torch.stack([moved[norms.POOLED_DEPTHS.index(d)] for d in (2, 4, 8, 16)]).diff()
    assert (adds / adds.mean() - 1).abs().max() < 0.15, adds


def test_the_prediction_asks_for_runs_that_differ_by_all_four() -> None:
    prediction = lesson.concept.prediction
    assert prediction is not None and prediction.experiment() == 4
    assert [prediction.options[prediction.right(n)].text for n in (-4, 0, 4)] == [
        "only Post-Norm’s",
        "both alike",
        "only Pre-Norm’s",
    ]


@pytest.mark.parametrize("seed", range(1, 3))
def test_what_a_sentence_pools_holds_for_other_seeds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same proofs, on other draws."""

    def moved(measure):
        return lambda *arguments: measure(*arguments, seed=seed)

    for name in ("last_gradients", "amplification", "growth"):
        monkeypatch.setattr(lesson, name, moved(getattr(norms, name)))
    first_loss, profile, start = norms.first_loss, norms.profile, norms.start
    monkeypatch.setattr(lesson, "first_loss", lambda final_norm, s: first_loss(final_norm, s + 10 * seed))
    monkeypatch.setattr(lesson, "profile", lambda order, kind, depth: profile(order, kind, depth, seed))
    monkeypatch.setattr(lesson, "start", lambda depth, width, **how: start(depth, width, seed, **how))
    for claim in lesson.concept.claims:
        assert claim.evidence().holds, str(claim.evidence())


def test_a_slope_is_that_of_a_power_law() -> None:
    x = (2, 4, 8, 32)
    one = 3 * torch.tensor(x) ** -0.5
    assert float(norms.slope(x, one)) == pytest.approx(-0.5)
    both = norms.slope(x, torch.stack([one, torch.tensor(x) ** 2.0], -1))
    torch.testing.assert_close(both, torch.tensor([-0.5, 2], dtype=torch.float64))


def test_the_typical_draw_is_not_led_by_the_largest() -> None:
    assert float(norms.typical(torch.tensor([1.0, 1, 1, 10_000]))) == pytest.approx(10)


@pytest.mark.parametrize("order", norms.ORDERS)
def test_amplification_is_a_derivative(order: norms.Order) -> None:
    """Half the noise, the same number: the change is in the linear range."""
    full, half = (norms.typical(norms.amplification(order, epsilon=e)) for e in (0.002, 0.001))
    torch.testing.assert_close(full, half, rtol=0.02, atol=0)


@ORDERS
def test_amplification_is_that_of_a_plain_stack(order: norms.Order) -> None:
    """Two blocks, written as a textbook would, with every weight moved by ε times a second draw."""
    g, r, epsilon = torch.Generator().manual_seed(5), 3, 0.02
    x = torch.randn(r, 1, norms.LENGTH, 16, generator=g).double()
    here = there = x
    for _ in range(2):
        theta, delta = (norms.draw(r, 16, g, torch.float64) for _ in range(2))
        here = norms.block(order, here, theta)
        there = norms.block(order, there, norms.Layer(*(w + epsilon * n for w, n in zip(theta, delta, strict=True))))
    difference = F.layer_norm(there, (16,)) - F.layer_norm(here, (16,))
    expected = difference.square().flatten(1).mean(1) / epsilon**2
    ours = norms.amplification(order, 16, 5, epsilon, r, (1, 2))
    torch.testing.assert_close(ours[1], expected, rtol=1e-6, atol=0)
    assert (ours[0] > 0).all() and ours.shape == (2, r)


def test_growth() -> None:
    """Xiong et al., lemma 2: Pre-Norm grows by 0.5 to 1.5 per layer. A normalised vector has ‖x‖²/d = 1, less ε."""
    pre, post = norms.growth("pre"), norms.growth("post")
    per_layer = pre.size.diff()
    assert 0.5 < per_layer.mean() < 1.5
    torch.testing.assert_close(post.size[1:], torch.ones(48), atol=1e-3, rtol=0)
    assert (pre.change[24:] < pre.change[0] / 2).all() and (post.change > 0.5).all()


@ORDERS
def test_growth_is_that_of_a_plain_stack(order: norms.Order) -> None:
    x, _, _, layers = norms.setting(norms.draws(64), 2, 64, 0)
    after = []
    for layer in layers:
        before = x
        v, w_1, w_2 = (w[:, None] for w in layer)
        for sublayer in (
            lambda y, v=v: (y.mean(-2, keepdim=True) @ v).expand_as(y),
            lambda y, w_1=w_1, w_2=w_2: F.relu(y @ w_1) @ w_2,
        ):
            x = F.layer_norm(x + sublayer(x), (64,)) if order == "post" else x + sublayer(F.layer_norm(x, (64,)))
        after.append(float(((x - before).norm(dim=-1) / before.norm(dim=-1)).mean()))
    grown = norms.growth(order)
    torch.testing.assert_close(grown.change[:2], torch.tensor(after), rtol=1e-4, atol=1e-5)
    assert float(grown.size[2]) == pytest.approx(float(x.square().mean()), rel=1e-4)
    assert float(grown.size[0]) == pytest.approx(1, abs=0.1), "the vectors before the first block"


def torchs(order: norms.Order, blocks: list[norms.Block], decoder: bool) -> nn.Module:
    """torch's own stack, with the weights of draw 0 and no biases."""
    kind = nn.TransformerDecoderLayer if decoder else nn.TransformerEncoderLayer
    layer = kind(64, 4, 256, dropout=0, batch_first=True, norm_first=order == "pre")
    norm = nn.LayerNorm(64)
    stack = (
        nn.TransformerDecoder(layer, len(blocks), norm)
        if decoder
        else nn.TransformerEncoder(layer, len(blocks), norm, enable_nested_tensor=False)
    )
    with torch.no_grad():
        for name, parameter in stack.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        for one, block in zip(stack.layers, blocks, strict=True):
            for theirs, ours in (
                (one.self_attn, block.attention),
                *([(one.multihead_attn, block.cross)] if decoder else []),
            ):
                theirs.in_proj_weight.copy_(torch.cat([w[0] for w in ours[:3]], -1).T)
                theirs.out_proj.weight.copy_(ours[3][0].T)
            one.linear1.weight.copy_(block.w_1[0, 0].T)
            one.linear2.weight.copy_(block.w_2[0, 0].T)
    return stack


@ORDERS
def test_the_full_stacks_are_torchs(order: norms.Order) -> None:
    g = torch.Generator().manual_seed(0)
    blocks = [norms.draw_block(2, 64, g) for _ in range(3)]
    x, memory = (torch.randn(2, 2, 16, 64, generator=g) for _ in range(2))
    encoder, decoder = (torchs(order, blocks, decoder) for decoder in (False, True))
    close = {"atol": 2e-4, "rtol": 2e-4}
    torch.testing.assert_close(norms.full_stack(order, x, blocks)[0], encoder(x[0]), **close)
    hidden = nn.Transformer.generate_square_subsequent_mask(16)
    theirs = decoder(x[0], memory[0], tgt_mask=hidden)
    torch.testing.assert_close(norms.full_stack(order, x, blocks, memory)[0], theirs, **close)


def test_full_blocks_are_drawn_as_nn_transformer_draws_them() -> None:
    """Xavier uniform: bounds √(6 / (rows + columns)), Q, K and V as one matrix; none larger, the largest close to it."""
    block, d = norms.draw_block(4, 64, torch.Generator().manual_seed(0)), 64
    for weights, bound in (
        (block.attention[:3], (6 / (4 * d)) ** 0.5),
        (block.cross[:3], (6 / (4 * d)) ** 0.5),
        ((block.attention[3], block.cross[3]), (6 / (2 * d)) ** 0.5),
        ((block.w_1, block.w_2), (6 / (5 * d)) ** 0.5),
    ):
        for w in weights:
            assert 0.99 * bound < float(w.abs().max()) <= bound


def pooled_tilt(order: norms.Order, kind: norms.Kind, depth: int = 12, seeds: int = 3) -> float:
    each = torch.tensor([norms.profile(order, kind, depth, seed).tilt for seed in range(seeds)])
    return float(each.log().mean().exp())


def test_encoders_are_flat_and_decoders_fall_but_not_over_random_memory() -> None:
    """Twelve draws of each. Six seeds gave .91 to 1.23, 9.0 to 11.2, 1.1 to 1.7; Pre-Norm .35 to .62."""
    assert 0.8 < pooled_tilt("post", "encoder") < 1.3
    assert 7.5 < pooled_tilt("post", "decoder") < 13
    assert 1 < pooled_tilt("post", "random memory") < 1.9
    assert all(0.3 < pooled_tilt("pre", kind) < 0.7 for kind in norms.KINDS)


def test_decoders_fall_the_more_the_deeper_they_are() -> None:
    two, six, twelve = (pooled_tilt("post", "decoder", depth, 2) for depth in (2, 6, 12))
    assert 0.9 < two < 1.3 and 1.5 < six < 2.6 and twelve > 2.5 * six


def test_a_post_norm_encoder_makes_vectors_alike() -> None:
    post, pre, random = (
        norms.profile(order, kind, 12).alike
        for order, kind in (("post", "decoder"), ("pre", "decoder"), ("post", "random memory"))
    )
    assert post > 0.9 > pre > random and abs(random) < 0.05


def test_cosine() -> None:
    assert norms.cosine(torch.eye(4)) == pytest.approx(0, abs=1e-6)
    assert norms.cosine(torch.ones(2, 3, 5)) == pytest.approx(1)


@ORDERS
def test_shallow_networks_are_the_beginning_of_deep_ones(order: norms.Order) -> None:
    shallow, deep = (norms.setting(2, depth, 16, 1) for depth in (3, 6))
    short, long = (norms.stream(order, s.x, s.layers) for s in (shallow, deep))
    assert len(long) == 7 and all(torch.equal(a, b) for a, b in zip(long, short, strict=False))
    assert torch.equal(long[0], deep.x) and torch.equal(shallow.head, deep.head)
    if order == "post":
        torch.testing.assert_close(long[-1], layer_norm(long[-1]), atol=1e-4, rtol=1e-4)


def test_which_of_torchs_modules_end_with_a_norm() -> None:
    with pytest.warns(UserWarning, match="norm_first was True"):
        pre = nn.Transformer(8, 2, 1, 1, 8, batch_first=True, norm_first=True)
    post = nn.Transformer(8, 2, 1, 1, 8, batch_first=True)
    for whole in (pre, post):
        assert isinstance(whole.encoder.norm, nn.LayerNorm) and isinstance(whole.decoder.norm, nn.LayerNorm)
    assert nn.TransformerEncoder(norms.torch_layer(True), 1, enable_nested_tensor=False).norm is None


def test_torchs_own_generator_is_left_where_it_was() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    MEMORY.clear()
    norms.first_loss(False, 7)
    lesson.norm_first_has_no_final_norm()
    lesson.the_norm_moves()
    assert torch.equal(torch.get_rng_state(), before)
    assert norms.first_loss(False, 7) != norms.first_loss(False, 8)


def test_what_the_sentences_say_of_the_shipped_training() -> None:
    assert [training.learned("post", d, 0.003, 0) for d in training.DEPTHS] == [4, 4, 4, 0]
    for cell in training.CELLS:
        if cell[0] != "post":
            assert training.learned(*cell) == 4, cell
    for warmup, runs in ((0, norms.early("post", 0)), (100, norms.early("post", 100))):
        cells = [c for c in training.CELLS if c[0] == "post" and c[3] == warmup]
        assert len(runs) == len(cells) * len(training.SEEDS)
        assert sum(run.learned for run in runs) == sum(training.learned(*c) for c in cells)
        expected = []
        for run in (run for c in cells for run in training.trained(*c)):
            first_ten = run.by_layer[run.at <= 10]
            expected.append(float((first_ten[:, -1] / first_ten[:, 0]).max()))
        assert [run.tilt for run in runs] == pytest.approx(expected)
    for run, shipped in zip(early_of(12, 0.01, 100), training.trained("post", 12, 0.01, 100), strict=True):
        tilts = dict(zip(training.SNAPSHOTS, (shipped.by_layer[:, -1] / shipped.by_layer[:, 0]).tolist(), strict=True))
        assert run.tenfold == min(step for step, tilt in tilts.items() if tilt > 10) > 100
        assert run.by_100 == pytest.approx(max(tilt for step, tilt in tilts.items() if step <= 100))
    assert {run.tenfold for run in early_of(2, 0.001, 100)} == {
        float("inf")
        if all(
            (run.by_layer[:, -1] <= 10 * run.by_layer[:, 0]).all() for run in training.trained("post", 2, 0.001, 100)
        )
        else 0
    }


def early_of(depth: int, rate: float, warmup: int) -> list[norms.Early]:
    """The four runs of one Post-Norm cell."""
    cells = [c for c in training.CELLS if c[0] == "post" and c[3] == warmup]
    start = 4 * cells.index(("post", depth, rate, warmup))
    return norms.early("post", warmup)[start : start + 4]


@pytest.mark.parametrize("width", [32, 128])
def test_what_is_kept_is_small(width: int) -> None:
    """Only what is drawn, or pooled: no weights, no streams."""
    for order in norms.ORDERS:
        for result in (
            norms.start(24, width),
            norms.last_gradients(order),
            norms.amplification(order),
            norms.growth(order, width),
            norms.profile(order, "decoder", 18),
        ):
            assert size_of(result) < 6_000
    assert size_of(training.trained("post", 12, 0.003, 0)) < 50_000


def test_the_program_prints_no_more_digits_than_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert lesson.concept.snippet is not None
    exec(compile(lesson.concept.snippet.filled(depth=2, width=32, seed=1), "<program>", "exec"), {})
    said = capsys.readouterr().out
    assert all(len(word.strip("[],").partition(".")[2]) <= 3 for word in said.split()), said
