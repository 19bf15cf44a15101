"""Question 9: the masks and batches as equations, and what the lesson's experiments promise, against torch's own code."""

import math
import zlib

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.concepts.padding import concept
from core.experiments import padding
from core.ops import batching, masks

quick = settings(deadline=None, derandomize=True, max_examples=15)
few = settings(quick, max_examples=5)  # where a whole model runs
LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=6)
WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=1, max_size=padding.MOST).map(" ".join)
SEEDS = st.integers(0, 99)
CLOSE = {"atol": 1e-11, "rtol": 1e-11}


# ------------------------------------------------------------------------------------------------ the equations


@quick
@given(lengths=LENGTHS, more=st.integers(0, 4))
def test_a_keep_mask_counts_each_sequence_on_its_side(lengths: list[int], more: int) -> None:
    n = max(lengths) + more
    right, left = masks.keep_mask(lengths, n), masks.keep_mask(lengths, n, "left")
    assert right.sum(-1).tolist() == left.sum(-1).tolist() == lengths
    assert torch.equal(right.flip(-1), left) and right[:, 0].all() and left[:, -1].all()
    padded = nn.utils.rnn.pad_sequence([torch.ones(length) for length in lengths], batch_first=True)
    assert torch.equal(masks.keep_mask(lengths, max(lengths)), padded.bool())
    with pytest.raises(ValueError, match="does not fit"):
        masks.keep_mask(lengths, max(lengths) - 1)


@quick
@given(lengths=LENGTHS, left=st.booleans())
def test_columns_rows_and_positions(lengths: list[int], left: bool) -> None:
    keep = masks.keep_mask(lengths, 9, "left" if left else "right")
    columns, rows, ids = masks.columns(keep), masks.rows(keep), masks.position_ids(keep)
    for b, length in enumerate(lengths):
        assert all(torch.equal(row, keep[b]) for row in columns[b])
        assert torch.equal(rows[b], columns[b].T) and columns[b].any(-1).all()
        assert ids[b][keep[b]].tolist() == list(range(length))
        assert ids[b].min() == 0 and ids[b].max() == length - 1


def test_an_additive_mask_is_zero_or_the_lowest_number() -> None:
    keep = torch.tensor([[True, False], [False, False]])
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        added = masks.additive(keep, dtype)
        assert added.dtype == dtype and added.isfinite().all()
        assert torch.equal(added == 0, keep) and (added[~keep] == torch.finfo(dtype).min).all()
        weights = (torch.tensor([[0.3, 2.0], [0.3, 2.0]], dtype=dtype) + added).softmax(-1)
        assert weights[0].tolist() == [1, 0] and weights[1].tolist() == [0.5, 0.5]


@quick
@given(lengths=LENGTHS)
def test_blocks_are_those_of_torch(lengths: list[int]) -> None:
    blocks = [torch.ones(n, n) for n in lengths]
    assert torch.equal(masks.block_diagonal(lengths), torch.block_diag(*blocks).bool())
    assert int(masks.block_diagonal(lengths).sum()) == batching.pairs(lengths)


@quick
@given(lengths=LENGTHS, size=st.integers(1, 7))
def test_no_batching_loses_a_token(lengths: list[int], size: int) -> None:
    for batches in (batching.padded(lengths), batching.bucketed(lengths, size), batching.packed(lengths)):
        held = [n for batch in batches for row in batch for n in row]
        assert sorted(held) == sorted(lengths)
        wide = [max(map(sum, batch)) for batch in batches]
        assert batching.slots(batches) == sum(w * len(b) for w, b in zip(wide, batches, strict=True)) >= sum(lengths)
        assert batching.scores(batches) == sum(w * w * len(b) for w, b in zip(wide, batches, strict=True))
        assert batching.scores(batches) >= batching.pairs(lengths) and max(wide) == max(lengths)
    assert all(len(batch) <= size for batch in batching.bucketed(lengths, size))
    packed = batching.packed(lengths)[0]
    assert all(sum(row) <= max(lengths) for row in packed) and len(packed) <= len(lengths)
    assert batching.slots(batching.bucketed(lengths, 1)) == sum(lengths)
    assert batching.bucketed(lengths, len(lengths))[0] == sorted(batching.padded(lengths)[0], reverse=True)


def test_packing_fills_what_is_left() -> None:
    assert batching.packed([512, 64, 32, 16]) == [[[512], [64, 32, 16]]]
    assert batching.packed([3, 3, 2, 1, 1]) == [[[3], [3], [2, 1], [1]]]
    with pytest.raises(ValueError, match="at least one"):
        batching.bucketed([1], 0)


# ------------------------------------------------------------------------------------------------ what the reader writes


@pytest.mark.parametrize(
    ("text", "refused"),
    [("a", ""), ("a b c d e f g h", ""), ("a b c d e f g h i", "9 words"), (" \u200d ", "at least one")],
)
def test_sentences_have_one_to_eight_words(text: str, refused: str) -> None:
    used, reason = padding.sentence_of(text, "dogs bark")
    assert (refused in reason) if refused else not reason
    assert used == (text if not refused else "dogs bark")


@pytest.mark.parametrize(
    ("text", "found"),
    [("1 2048", (1, 2048)), ("4,2,1", (4, 2, 1)), ("7", None), ("1 2049", None), ("1 -2", None), ("1 ² 3", None), ("1 " * 17, None), ("", None), ("1 1e3", None), ("9" * 5000 + " 1", None)],
)  # fmt: skip
def test_lengths(text: str, found: tuple[int, ...] | None) -> None:
    used, reason = padding.lengths_of(text)
    assert bool(reason) == (found is None) and used == (found or (512, 64, 32, 16))
    assert "number 17" not in reason and len(reason) < 90


def test_the_shortest_sentence_gets_the_pads() -> None:
    assert padding.shortest(("a b", "c", "d")) == "c" and padding.shortest(("a b", "c d", "e f")) == "a b"


# ------------------------------------------------------------------------------------------------ a padded batch


def textbook(words: list[str], seed: int) -> tuple[Tensor, list[Tensor]]:
    """Inputs and the three matrices, written down again: the reference for everything below."""
    g = [torch.Generator().manual_seed(zlib.crc32(word.encode())) for word in words]
    x = torch.stack([torch.randn(16, generator=each, dtype=torch.float64) for each in g])
    for p in range(len(words)):
        for i in range(8):
            angle = p / 10_000 ** (i / 8)
            x[p, 2 * i] += math.sin(angle)
            x[p, 2 * i + 1] += math.cos(angle)
    g_w = torch.Generator().manual_seed(seed)
    return x, [torch.randn(16, 8, generator=g_w, dtype=torch.float64) / 4 for _ in range(3)]


@quick
@given(
    sentences=st.tuples(WORDS, WORDS, WORDS),
    extra=st.integers(0, 12),
    pad=st.sampled_from(["zeros", "own"]),
    seed=SEEDS,
)
def test_the_batch_is_torchs(sentences: tuple[str, ...], extra: int, pad: padding.Pad, seed: int) -> None:
    """Weights and differences, sentence by sentence, by torch's scaled_dot_product_attention."""
    made = padding.padded(sentences, extra, pad, seed)
    n = max(len(s.split()) for s in sentences) + extra
    g = torch.Generator().manual_seed(zlib.crc32(b"[PAD]"))
    filler = torch.randn(16, generator=g, dtype=torch.float64) if pad == "own" else torch.zeros(16, dtype=torch.float64)
    assert made.pads == [n - len(s.split()) for s in sentences]
    for b, sentence in enumerate(sentences):
        words = sentence.split()
        x, w = textbook(words, seed)
        full = torch.cat([x, filler.repeat(n - len(words), 1)])

        def out(x: Tensor, w: list[Tensor] = w, keep: Tensor | None = None) -> Tensor:
            q, k, v = ((x @ each)[None, None] for each in w)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=keep)[0, 0]

        alone = out(x)
        keep = (torch.arange(n) < len(words)).expand(n, n)
        free = (out(full)[: len(words)] - alone).norm(dim=-1) / alone.norm(dim=-1)
        shut = (out(full, keep=keep)[: len(words)] - alone).norm(dim=-1) / alone.norm(dim=-1)
        torch.testing.assert_close(made.off[b, : len(words)], free, **CLOSE)
        torch.testing.assert_close(made.law[b, : len(words)], free, **CLOSE)
        assert float(shut.max()) <= made.rounding and float(made.off_masked[b, : len(words)].max()) <= made.rounding
        assert made.off[b, len(words) :].isnan().all() and made.off_masked[b, len(words) :].isnan().all()
        scores = (full[len(words) - 1] @ w[0]) @ (full @ w[1]).T / math.sqrt(8)
        torch.testing.assert_close(made.weights[b], scores.softmax(-1), **CLOSE)
        angle = F.cosine_similarity(out(full)[: len(words)], alone)
        torch.testing.assert_close(made.turned[b, : len(words)], 1 - angle, **CLOSE)
        torch.testing.assert_close(made.masked[b], scores.masked_fill(~keep[0], -math.inf).softmax(-1), **CLOSE)
        assert (made.masked[b, len(words) :] == 0).all()
    assert made.rounding < 1e-8


def test_the_law_is_exact_at_its_ends_and_safe_from_overflow() -> None:
    found = padding.law("dogs bark", torch.tensor([0.0, 1.0, 1e9]))
    assert (found[0] == 0).all() and (found[1] > 0).all() and (found[2] > 0.999).all() and (found <= 1).all()


def test_masking_nothing_helps_nobody() -> None:
    made = padding.padded(hidden=False)
    assert torch.equal(made.off_masked[made.keep], made.off[made.keep])


# ------------------------------------------------------------------------------------------------ columns or rows


@few
@given(sentence=WORDS, seed=SEEDS, pads=st.integers(1, 4))
def test_columns_and_rows(sentence: str, seed: int, pads: int) -> None:
    n = len(sentence.split())
    for empty in ("written", "sdpa", "lowest"):
        none, rows, columns, both = (padding.mask_as(way, empty, sentence, seed, pads) for way in padding.WAYS)
        assert float(columns.off.max()) < padding.ROUNDING and columns.gradient == 0
        assert columns.pads > 0 and none.gradient > 0 and float(none.off.min()) > 0.01
        assert float(rows.off[0] - none.off[0]) == pytest.approx(0, abs=1e-12)
        assert int(columns.seen.sum()) == n * (n + pads) and int(rows.seen.sum()) == n * (n + pads)
        assert int(both.seen.sum()) == n * n and none.seen.all()
        for one in (rows, both):
            assert math.isnan(one.pads) == (empty == "written") and bool(one.off[1].isnan()) == (empty == "written")
        # What comes out at the pads, by torch, whom nobody is hidden from but the pads.
        x = padding.fill(sentence, pads)
        q, k, v = padding.project(x, seed)
        there = F.scaled_dot_product_attention(q[None], k[None], v[None], columns.seen)[0, n:]
        assert columns.pads == pytest.approx(float(there.abs().max()))
        if empty == "lowest":
            assert both.pads == pytest.approx(float(v.mean(0).abs().max()))
        if empty == "sdpa":
            assert rows.pads == both.pads == 0 and (both.weights[n:] == 0).all()
        if empty == "lowest":
            torch.testing.assert_close(both.weights[n:], torch.full_like(both.weights[n:], 1 / (n + pads)))
        if empty != "written":
            assert float(both.off.max()) < padding.ROUNDING


def test_pooling_over_pads_is_another_mean() -> None:
    assert float(padding.pooled("all").min()) > 0.01 > 1e-10 > float(padding.pooled("real").max())
    even = padding.pooled("all", ("a b", "c d", "e f"), extra=0)
    assert float(even.max()) < 1e-10  # nobody has a pad


# ------------------------------------------------------------------------------------------------ left or right


@few
@given(sentence=WORDS, scheme=st.sampled_from(["table", "sinusoidal", "rope"]), seed=SEEDS)
def test_what_is_exact_on_which_side(sentence: str, scheme: padding.Scheme, seed: int) -> None:
    def off(setup: padding.Setup, causal: bool) -> float:
        return padding.side(setup, causal, scheme, sentence, seed)

    assert off("right, nothing", True) < padding.ROUNDING < 1e-3 < off("right, nothing", False)
    for causal in (True, False):
        assert off("right, mask", causal) < padding.ROUNDING and off("left, mask and ids", causal) < padding.ROUNDING
        assert off("left, nothing", causal) > 1e-3 and off("left, ids", causal) > 1e-3 and off("end", causal) > 1e-3
        assert (off("left, mask", causal) < padding.ROUNDING) == (scheme == "rope")
        assert math.isnan(off("left, mask and ids, written", causal)) == causal  # the first pads see nobody
        assert (
            padding.side("left, mask and ids, written", causal, scheme, sentence, seed, itself=True) < padding.ROUNDING
        )
    assert causal or off("left, mask and ids, written", causal) < padding.ROUNDING


def test_the_pads_of_the_small_model_are_a_vector_of_their_own() -> None:
    """Written out for one setup of each side: pads have the vector of “[PAD]” and stand where they are said to stand."""
    pads, words = padding.embed(["[PAD]"] * padding.PADS, 16), padding.embed(["dogs", "bark"], 16)
    wanted = padding.model(words, torch.arange(2), masks.full(2), "table", 2)
    for setup, rows, real in (
        ("right, nothing", [words, pads], slice(2)),
        ("left, nothing", [pads, words], slice(-2, None)),
    ):
        made = padding.model(torch.cat(rows), torch.arange(6), masks.full(6), "table", 2)[real]
        off = float(((made - wanted).norm(dim=-1) / wanted.norm(dim=-1)).max())
        assert padding.side(setup, False, "table", "dogs bark", 2) == pytest.approx(off)  # type: ignore[arg-type]


def test_the_last_place_is_compared_with_the_last_word() -> None:
    words, pads = padding.embed(["dogs", "bark"], 16), padding.embed(["[PAD]"] * padding.PADS, 16)
    wanted = padding.model(words, torch.arange(2), masks.full(2))[-1]
    seen = masks.columns(masks.keep_mask([2], 6)[0])
    made = padding.model(torch.cat([words, pads]), torch.arange(6), seen)[-1]
    off = float((made - wanted).norm() / wanted.norm())
    assert padding.side("end", False) == pytest.approx(off)


def test_the_small_model_is_pre_norm_and_sees_what_it_may() -> None:
    """Against torch's own encoder with the same matrices; positions of a table are taken by their ids."""
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ids, seen = torch.tensor([0, 0, 0, 1, 2]), masks.causal(5)
    table, *matrices = padding.draw(padding.LAYERS, 3)
    layer = nn.TransformerEncoderLayer(16, 2, 64, 0.0, batch_first=True, norm_first=True, dtype=torch.float64)
    encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(16, dtype=torch.float64), enable_nested_tensor=False)
    with torch.no_grad():
        for one, i in zip(encoder.layers, (0, 6), strict=True):
            w_q, w_k, w_v, w_o, w_up, w_down = matrices[i : i + 6]
            one.self_attn.in_proj_weight.copy_(torch.cat([w_q.T, w_k.T, w_v.T]))
            one.self_attn.out_proj.weight.copy_(w_o.T)
            one.linear1.weight.copy_(w_up.T)
            one.linear2.weight.copy_(w_down.T)
            for bias in (one.self_attn.in_proj_bias, one.self_attn.out_proj.bias, one.linear1.bias, one.linear2.bias):
                bias.zero_()
        wanted = encoder((x + table[ids])[None], mask=~seen)[0]
    torch.testing.assert_close(padding.model(x, ids, seen, "table", 3), wanted, **CLOSE)


# ------------------------------------------------------------------------------------------------ conventions


@quick
@given(sentence=WORDS, pad=st.sampled_from(["zeros", "own"]), seed=SEEDS)
def test_four_conventions_one_answer(sentence: str, pad: padding.Pad, seed: int) -> None:
    found = padding.conventions(sentence, seed, pad=pad)
    n = len(sentence.split())
    assert float(found.off_right.max()) < 1e-10
    torch.testing.assert_close(found.right, found.right[:1].expand(4, -1), **CLOSE)
    torch.testing.assert_close(found.right.sum(-1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(found.wrong.sum(-1), torch.ones(4, dtype=torch.float64))
    assert (found.right[:, n:] == 0).all() and float(found.off_wrong.min()) > 1e-3
    for row in (0, 1, 3):
        assert (found.wrong[row, :n] == 0).all()
        torch.testing.assert_close(found.wrong[row, n:], torch.full_like(found.wrong[row, n:], 1 / padding.PADS))
    # Ones added to the logits of words multiply their weights by e before normalising.
    ratio = found.wrong[2, :n].sum() / found.wrong[2, n:].sum()
    assert (found.wrong[2] > 0).all() and float(ratio) > 0


def test_ones_are_added_and_multiply_by_e() -> None:
    found = padding.conventions("dogs bark", pad="own", pads=1)
    flipped = padding.conventions("dogs bark", pad="own", pads=2)
    for one in (found, flipped):
        torch.testing.assert_close(one.wrong[2, :2] / one.wrong[2, :2].sum(), one.right[2, :2], **CLOSE)
    # Two pads take twice the share of one, beside the same words.
    shares = [float(one.wrong[2, 2:].sum() / one.wrong[2, :2].sum()) for one in (found, flipped)]
    assert shares[1] == pytest.approx(2 * shares[0])


@pytest.mark.parametrize("integers", [torch.tensor([1, 0]), torch.tensor([0, 1])])
def test_torch_refuses_whole_numbers_as_a_mask(integers: Tensor) -> None:
    """What the lesson says of numbers is meant of floating-point ones: ones and zeros of another kind do raise."""
    x = torch.zeros(1, 1, 2, 4)
    with pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(x, x, x, attn_mask=integers.expand(2, 2))


def test_a_sample_of_only_pads() -> None:
    both = (True, False)
    found = {(t, w, g): padding.empty_sample(t, w, g) for t in both for w in both for g in both}
    for (training, weights, gradients), value in found.items():
        fast = not training and not gradients
        assert math.isnan(value) if weights or fast else value == 0, (training, weights, gradients)


def test_torchs_encoder_drops_the_pads_in_evaluation_only() -> None:
    (came, at_pads, off), (trained, junk, same) = padding.encoder((5, 1)), padding.encoder((5, 1), training=True)
    assert (came, at_pads, trained) == (6, 0, 10) and junk > 0.01
    assert off < padding.ROUNDING > same


# ------------------------------------------------------------------------------------------------ costs and losses


def test_what_the_facts_say_of_512_64_32_16() -> None:
    lengths = (512, 64, 32, 16)
    padded, skipped = padding.cost(lengths, "padded"), padding.cost(lengths, "skipped")
    assert (padded.real, padded.slots, padded.pairs, padded.scores) == (624, 2048, 267_520, 1_048_576)
    assert (skipped.slots, skipped.scores) == (624, 267_520)
    assert padding.cost(lengths, "bucketed", 2).slots == 1088 and padding.cost(lengths, "packed").slots == 1024
    assert padding.cost(lengths, "bucketed", 4).slots == padded.slots


def test_flops_are_those_of_every_place() -> None:
    (attention, projections), (alone, each) = padding.flops(), padding.flops(padded=False)
    assert attention == 2 * 2 * 4 * 64 * 64 * 8 and projections == 3 * 2 * 4 * 64 * 16 * 8
    assert alone == 2 * 2 * (64**2 + 8**2 + 4**2 + 2**2) * 8 and each == 3 * 2 * 78 * 16 * 8


@few
@given(sentences=st.tuples(WORDS, WORDS, WORDS), seed=SEEDS)
def test_packed_is_alone_if_blocked_and_reset(sentences: tuple[str, ...], seed: int) -> None:
    scheme: padding.Scheme = "sinusoidal"
    assert padding.pack(True, True, sentences, scheme, seed) < padding.ROUNDING
    assert padding.pack(True, False, sentences, scheme, seed) > 1e-4
    alike = len({word for sentence in sentences for word in sentence.split()}) == 1 and not any(
        " " in sentence for sentence in sentences
    )  # then all values are one and the same
    assert (padding.pack(False, True, sentences, scheme, seed) > 1e-4) != alike
    assert padding.pack(True, False, sentences, "rope", seed) < padding.ROUNDING
    weights, seen = padding.packed_weights(sentences, seed)
    blocks = []  # each sentence by itself, with this seed
    for sentence in sentences:
        x, (w_q, w_k, _) = textbook(sentence.split(), seed)
        blocks.append(((x @ w_q) @ (x @ w_k).T / math.sqrt(8)).softmax(-1))
    torch.testing.assert_close(weights, torch.block_diag(*blocks), **CLOSE)
    assert torch.equal(weights != 0, seen)
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights), dtype=torch.float64))


@quick
@given(lengths=st.lists(st.integers(1, 40), min_size=2, max_size=5).map(tuple), extra=st.integers(0, 9), seed=SEEDS)
def test_losses(lengths: tuple[int, ...], extra: int, seed: int) -> None:
    found, more = padding.losses(lengths, 0, seed), padding.losses(lengths, extra, seed)
    real, places = sum(lengths), len(lengths) * max(lengths)
    assert found["slots"] == pytest.approx(found["tokens"] * real / places)
    assert more["tokens"] == pytest.approx(found["tokens"]) and more["sequences"] == pytest.approx(found["sequences"])
    # Once pads are predicted for certain, counting them as targets divides by all places.
    assert padding.losses(lengths, 0, seed, learned=True) == pytest.approx({**found, "pads too": found["slots"]})
    if len(set(lengths)) == 1:
        assert found["sequences"] == pytest.approx(found["tokens"]) and found["pads too"] == pytest.approx(
            found["tokens"]
        )
    # With pads as targets: the sum over words, and that over pads, whose logits are random, divided by all places.
    over_pads = found["pads too"] * places - found["tokens"] * real
    assert over_pads > 0 or places == real


def test_the_stand_in_guesses_better_the_more_it_has_read() -> None:
    means = [padding.losses((n, n))["tokens"] for n in (1, 8, 64, 512)]
    assert means == sorted(means, reverse=True)


# ------------------------------------------------------------------------------------------------ what the sentences say


def test_the_answer_covers_what_the_question_settles() -> None:
    said = " ".join([concept.answer, *(c.better for c in concept.corrections), *(p.answer for p in concept.push_backs)])
    for word in (
        "−∞",
        "Z/(Z+P)",
        "loss",
        "pooling",
        "position ids",
        "RoPE",
        "block-diagonal",
        "ignore_index",
        "NaN",
        "varlen",
    ):
        assert word in said, word


def test_the_program_prints_both_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert concept.snippet
    for controls in concept.snippet.examples:
        exec(compile(concept.snippet.filled(**controls), "<snippet>", "exec"), {})
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("pads masked as keys") and said[2].startswith("no mask")
        assert float(said[1]) == 0 < float(said[3])


def test_the_numbers_on_the_waste_button_are_those_of_the_default_lengths() -> None:
    claim = next(look.claim.text for look in concept.looks if look.name == "waste")
    for how in ("padded", "packed"):
        one = padding.cost((512, 64, 32, 16), how)  # type: ignore[arg-type]
        assert f"{100 * one.real / one.slots:.0f}" in claim and f"{100 * one.pairs / one.scores:.0f}" in claim
