"""Question 4: what the lesson's experiments promise, over every mask and any sentence; and what its sentences say."""

import itertools
import math
import re
import zlib

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.concepts.masking import concept
from core.experiments import masking
from core.ops import masks
from core.ops.words import MOST, tokens
from core.training import leak

quick = settings(deadline=None, derandomize=True, max_examples=15)
SENTENCES = st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=2, max_size=MOST).map(" ".join)
SEEDS = st.integers(0, 99)


def own(n: int, bits: list[bool]) -> str:
    return "/".join("".join(str(int(b)) for b in bits[i * n : (i + 1) * n]) for i in range(n))


def textbook(words: list[str], seed: int) -> tuple[Tensor, list[Tensor]]:
    """Inputs and the three matrices, written down again: the reference for everything below."""
    n, d = len(words), 16
    rows = [torch.Generator().manual_seed(zlib.crc32(word.encode())) for word in words]
    x = torch.stack([torch.randn(d, generator=g, dtype=torch.float64) for g in rows])
    for p, i in itertools.product(range(n), range(d // 2)):
        angle = p / 10_000 ** (2 * i / d)
        x[p, 2 * i] += math.sin(angle)
        x[p, 2 * i + 1] += math.cos(angle)
    g = torch.Generator().manual_seed(seed)
    return x, [torch.randn(d, 8, generator=g, dtype=torch.float64) / 4 for _ in range(3)]


def torchs(x: Tensor, w: list[Tensor], visible: Tensor | None = None) -> Tensor:
    """The outputs by torch's own attention."""
    q, k, v = ((x @ each)[None, None] for each in w)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)[0, 0]


# ------------------------------------------------------------------------------------------------ the reader's words


@pytest.mark.parametrize(
    ("kind", "allowed"), [("causal", 21), ("none", 36), ("ahead", 26), ("strict", 15), ("prefix", 24), ("nobody", 0)]
)
def test_who_may_look(kind: masking.Kind, allowed: int) -> None:
    assert int(masking.mask(kind, 6).sum()) == allowed


@quick
@given(n=st.integers(1, MOST), prefix=st.integers(1, MOST))
def test_an_open_prefix_of_any_length(n: int, prefix: int) -> None:
    seen = masking.mask("prefix", n, prefix=prefix)
    assert seen[:, :prefix].all() and torch.equal(seen[:, prefix:], masks.causal(n)[:, prefix:])
    assert masking.rows_of("prefix", n, prefix) == (masking.written(seen), "")


@quick
@given(n=st.integers(2, 6), data=st.data())
def test_a_mask_of_ones_own_is_read_as_written(n: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    visible = masking.parse(own(n, bits), n)
    assert visible.flatten().tolist() == bits and masking.written(visible) == own(n, bits)
    assert masking.rows_of("own", n, own=own(n, bits)) == (own(n, bits), "")
    row, column = data.draw(st.tuples(st.integers(-1, n), st.integers(-1, n)))
    changed = masking.toggled(own(n, bits), row, column)
    if 0 <= row < n and 0 <= column < n:
        visible[row, column] = ~visible[row, column]
    assert changed == masking.written(visible)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", "needs 2 rows"),
        ("1", "here is 1"),
        ("10/11/11", "here are 3"),
        ("10/1", "row 1 has 1"),
        ("100/11", "row 0 has 3"),
        ("10/12", "here is “2”"),
        ("10|11", "here is “|”"),
        ("<b>/11", "written in 0, 1 and /"),
        ("٠١/11", "written in 0, 1 and /"),
        ("causal", "written in 0, 1 and /"),
    ],
)
def test_a_wrong_mask_is_refused_in_words(wrong: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        masking.parse(wrong, 2)
    rows, said = masking.rows_of("own", 2, own=wrong)
    assert rows == "10/11" and reason in said


def test_a_wrong_sentence_is_refused_in_words() -> None:
    for wrong, reason in (("one", "at least two words"), (" ".join("abcdefghijklm"), "That is 13 words")):
        sentence, said = masking.sentence_of(wrong)
        assert sentence == masking.SENTENCE and reason in said


# ------------------------------------------------------------------------------------------------ the head


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_logits_and_weights_are_torchs(sentence: str, seed: int) -> None:
    head = masking.head(sentence, seed=seed)
    x, (w_q, w_k, _) = textbook(sentence.split(), seed)
    torch.testing.assert_close(head.logits, (x @ w_q) @ (x @ w_k).T / math.sqrt(8), atol=1e-12, rtol=1e-12)
    identity = torch.eye(len(x), dtype=torch.float64)  # with these values, the output is the weights
    expected = F.scaled_dot_product_attention((x @ w_q)[None], (x @ w_k)[None], identity[None], is_causal=True)[0]
    torch.testing.assert_close(head.weights, expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(head.unmasked, head.logits.softmax(-1), atol=1e-12, rtol=1e-12)
    assert (head.weights.triu(1) == 0).all()


@quick
@given(n=st.integers(2, 6), seed=SEEDS, data=st.data())
def test_the_three_ways_by_their_definitions(n: int, seed: int, data: st.DataObject) -> None:
    """Element by element, for any mask: weights, what goes into the softmax, and every derivative."""
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    rows, sentence = own(n, bits), " ".join("abcdef"[:n])
    x, w = textbook(sentence.split(), seed)
    visible = masking.parse(rows, n)
    scores = (x @ w[0]) @ (x @ w[1]).T / math.sqrt(8)
    for where in ("before", "after", "multiply"):
        head = masking.head(sentence, rows, where, seed)

        def output(x: Tensor, where: str = where) -> Tensor:
            if where == "before":
                return torchs(x, w, visible)
            e = ((x @ w[0]) @ (x @ w[1]).T / math.sqrt(8)).exp()
            kept = torch.where(visible, e, float(where == "multiply"))  # a logit of 0 is e⁰ = 1
            return kept / (e if where == "after" else kept).sum(-1, keepdim=True) @ (x @ w[2])

        for i, j in itertools.product(range(n), range(n)):
            logit, seen = float(scores[i, j]), bool(visible[i, j])
            hidden = {"before": -math.inf, "after": logit, "multiply": 0.0}[where]
            entered = float(masking.entered(head.logits, head.visible, where)[i, j])
            assert entered == pytest.approx(logit if seen else hidden, abs=1e-12)
            if not seen and where != "multiply" and visible[i].any():
                assert head.weights[i, j] == 0
        there = visible.any(-1) if where == "before" else torch.ones(n, dtype=torch.bool)
        torch.testing.assert_close((head.weights @ (x @ w[2]))[there], output(x)[there], atol=1e-12, rtol=1e-10)
        assert head.weights[~there].isnan().all() and not head.weights[there].isnan().any()
        jacobian = torch.autograd.functional.jacobian(output, x)
        norms = torch.linalg.matrix_norm(jacobian.movedim(1, 2))
        torch.testing.assert_close(head.influence, norms, atol=1e-12, rtol=1e-10)
        assert head.pairs == int((head.influence != 0).sum())


@pytest.mark.parametrize(
    ("kind", "where", "pairs"),
    [
        ("causal", "before", 21),
        ("none", "before", 36),
        ("ahead", "before", 26),
        ("prefix", "before", 24),
        ("nobody", "before", 0),
        ("causal", "after", 36),
        ("causal", "multiply", 36),
        ("nobody", "after", 0),
        ("nobody", "multiply", 36),
        # 15 allowed pairs, and 4 rows with more than one visible key that their own query still steers.
        ("strict", "before", 19),
    ],
)
def test_how_many_pairs_influence(kind: masking.Kind, where: masking.Where, pairs: int) -> None:
    assert masking.head(rows=kind, where=where).pairs == pairs


@quick
@given(n=st.integers(2, 5), seed=SEEDS, data=st.data())
def test_only_visible_keys_and_the_own_query_act(n: int, seed: int, data: st.DataObject) -> None:
    """Any mask, empty rows too: a hidden key has influence exactly 0, and no NaN is taken for a 0."""
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    head = masking.head(" ".join("abcdefgh"[:n]), own(n, bits), seed=seed)
    assert not head.influence.isnan().any()
    steered = torch.diag(head.visible.sum(-1) > 1)
    assert torch.equal(head.influence != 0, head.visible | steered)


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_renormalising_after_zeroing_is_masking(sentence: str, seed: int) -> None:
    """Zeroing afterwards would be right if the row were divided by its new sum, which is what −∞ does."""
    before, after = (masking.head(sentence, "causal", w, seed=seed).weights for w in ("before", "after"))
    torch.testing.assert_close(after / after.sum(-1, keepdim=True), before, atol=1e-12, rtol=1e-12)
    assert float(after[0].sum()) < 1


@quick
@given(n=st.integers(2, 6), seed=SEEDS, data=st.data())
def test_what_flows_is_what_is_lost_and_what_is_gained(n: int, seed: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    for where in ("before", "after", "multiply"):
        head = masking.head(" ".join("abcdef"[:n]), own(n, bits), where, seed)  # type: ignore[arg-type]
        for i in range(n):
            flow, seen, p = head.flow(i), head.visible[i], head.unmasked[i]
            assert (flow >= 0).all() and flow.isfinite().all()
            if where == "after" or seen.all() or (where == "before" and not seen.any()):
                assert (flow == 0).all(), "nobody inherits"
                continue
            torch.testing.assert_close(p + flow.sum(0) - flow.sum(1), head.weights[i], atol=1e-12, rtol=0)
            if where == "before":  # the share of the hidden that each visible takes over
                shares = torch.outer(p * ~seen, p * seen) / p[seen].sum()
                torch.testing.assert_close(flow, shares, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("row", range(3))
def test_one_row_of_a_mask_is_chosen_by_its_words(row: int) -> None:
    rows = "100/110/111"
    assert masking.seen_by(rows, row) == list(range(row + 1))
    changed = masking.seeing(rows, row, [2, 0]).split("/")
    assert changed[row] == "101" and changed[:row] + changed[row + 1 :] == [
        r for i, r in enumerate(rows.split("/")) if i != row
    ]
    assert masking.seeing(rows, row, masking.seen_by(rows, row)) == rows


def test_a_decoder_layer_masks_its_self_attention_only() -> None:
    """As it comes, with its own start, in float32: the mask is ours to pass, and the source is seen whole."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerDecoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    target, source = torch.randn(1, 6, 16), torch.randn(1, 3, 16)
    for hidden, earlier_moves in ((~masks.causal(6), False), (None, True)):
        changed = target.clone()
        changed[0, 5] += 1
        before, after = (layer(x, source, tgt_mask=hidden) for x in (target, changed))
        assert bool((before[0, :5] != after[0, :5]).any()) == earlier_moves
        other = layer(target, source + torch.tensor([0.0, 0, 1])[:, None], tgt_mask=hidden)
        assert (other != before).any(-1).all(), "the last word of the source acts on every output"
        ours, theirs = masking.decoder_influence(hidden is not None)
        assert torch.equal(ours, masks.causal(6) if hidden is not None else masks.full(6)) and theirs.all()


def test_equal_logits_share_equally() -> None:
    weights = masking.weigh(torch.zeros(6, 6, dtype=torch.float64), masks.causal(6))
    torch.testing.assert_close(weights, masks.causal(6) / torch.arange(1, 7, dtype=torch.float64)[:, None])
    after = masking.weigh(torch.zeros(6, 6, dtype=torch.float64), masks.causal(6), "after")
    torch.testing.assert_close(after.sum(-1), torch.arange(1, 7, dtype=torch.float64) / 6)


# ------------------------------------------------------------------------------------------------ appending


@quick
@given(sentence=SENTENCES, word=st.sampled_from(["today", "a", "<b>"]), seed=SEEDS)
def test_appending_changes_earlier_outputs_only_without_a_mask(sentence: str, word: str, seed: int) -> None:
    causal, full = (masking.append(sentence, word, c, seed) for c in (True, False))
    n = len(sentence.split())
    assert len(causal.change) == n
    assert (causal.change <= causal.rounding).all() and causal.cache <= causal.rounding
    assert (full.change > 1e-4).all(), "a word that everyone sees changes every output"
    # The same by torch, without a slot that waits for the word.
    after, w = textbook([*sentence.split(), word], seed)
    change = (torchs(after, w)[:n] - torchs(after[:n], w)).abs().amax(-1)
    torch.testing.assert_close(full.change, change, atol=full.rounding, rtol=0)
    # Without the causal mask a cache is wrong: it never shows an earlier word the later ones.
    assert full.cache == pytest.approx(
        float((torchs(after, w) - torchs(after, w, masks.causal(n + 1))).abs().max()), abs=full.rounding
    )


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_the_rounding_bound_is_between_what_happens_and_what_would_matter(sentence: str, seed: int) -> None:
    x = masking.inputs(sentence.split())
    bound = masking.rounding(x, seed)
    half = 2**29  # float32 rounds 2²⁹ times as coarsely as float64
    w = masking.projections(seed)
    apart = torchs(x.float(), [each.float() for each in w]).double() - torchs(x, w)
    assert float(apart.abs().max()) <= half * bound
    assert torch.finfo(torch.float64).eps < bound < 1e-9
    ratio = masking.rounding(x, seed, unit_values=True) / bound
    assert ratio == pytest.approx(1 / float((x.abs() @ w[2].abs()).max()), rel=1e-9)


# ------------------------------------------------------------------------------------------------ several new words


@quick
@given(sentence=SENTENCES, seed=SEEDS, data=st.data())
def test_the_triangle_of_several_new_words(sentence: str, seed: int, data: st.DataObject) -> None:
    n = len(sentence.split())
    new = data.draw(st.integers(1, n))
    x, (w_q, w_k, _) = textbook(sentence.split(), seed)
    scores = (x @ w_q) @ (x @ w_k).T / math.sqrt(8)
    wanted = scores.masked_fill(~masks.causal(n), -math.inf).softmax(-1)[-new:]
    for how in ("bottom right", "lower_right", "full pass"):
        torch.testing.assert_close(masking.late(how, new, sentence, seed), wanted, atol=1e-12, rtol=1e-12)
        assert (masking.late(how, new, sentence, seed) != 0).sum(-1).tolist() == list(range(n - new + 1, n + 1))
    wrong, unmasked = (masking.late(how, new, sentence, seed) for how in ("is_causal", "no mask"))
    assert (wrong != 0).sum(-1).tolist() == list(range(1, new + 1))
    torch.testing.assert_close(unmasked, scores.softmax(-1)[-new:], atol=1e-12, rtol=1e-12)


def test_two_new_words_against_five_keys() -> None:
    seen = {how: (masking.late(how, 2, "a b c d e") != 0).sum(-1).tolist() for how in ("is_causal", "lower_right")}
    assert seen == {"is_causal": [1, 2], "lower_right": [4, 5]}


# ------------------------------------------------------------------------------------------------ conventions


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_an_empty_row_depends_on_the_function_and_the_others_do_not(sentence: str, seed: int) -> None:
    found, n = masking.libraries(sentence, -1, seed), len(tokens(sentence))
    written, sdpa, module, quiet, fast, lowest = found.row
    assert all(row.isnan().all() for row in (written, module, fast))
    assert all((row == 0).all() for row in (sdpa, quiet))
    assert (lowest == 1 / n).all(), "hidden words too: the whole sentence, later words included"
    bound = masking.rounding(masking.inputs(sentence.split()), seed, unit_values=True)
    assert found.others <= bound
    seen = masking.libraries(sentence, 0, seed)
    assert (seen.row[:, 0] == 1).all() and (seen.row[:, 1:] == 0).all() and seen.others <= bound


def test_the_six_ways_weigh_our_head() -> None:
    """The measured functions get our logits: row 1 of the strict mask sees one key, row 1 of the next one two."""
    for offset in (0, 1):
        expected = masking.head(rows=masking.written(masks.causal(6, offset))).weights[0]
        for row in masking.libraries(offset=offset).row:
            torch.testing.assert_close(row, expected, atol=1e-12, rtol=1e-12)


def test_torchs_modules_on_an_empty_row_as_they_come() -> None:
    """Nothing of ours in them: default initialisation, two heads, float32."""
    x, hidden = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(0)), ~masks.causal(6, -1)
    module = torch.nn.MultiheadAttention(16, 2, batch_first=True)
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    for training, needed, lost in ((True, True, 16), (True, False, 0), (False, True, 16), (False, False, 16)):
        module.train(training)
        with torch.set_grad_enabled(training):
            output = module(x, x, x, attn_mask=hidden, need_weights=needed)[0]
            quiet = module(x, x, x, attn_mask=hidden, need_weights=False)[0]
        assert bool(quiet.isnan().any()) == (not training), "0 in training, NaN by the fast path"
        assert int(output.isnan().sum()) == lost and not output[0, 1:].isnan().any()
    layer.eval()
    with torch.no_grad():
        assert layer(x, src_mask=hidden)[0, 0].isnan().all(), "the layer for inference too"


def test_a_nan_spreads_to_every_gradient_and_only_from_an_empty_row() -> None:
    for code, entries in (("written", 96), ("need_weights=True", 96 + 1024), ("need_weights=False", 96 + 1024)):
        empty, full = masking.spoiled(code), masking.spoiled(code, 0)
        assert len(empty) == len(full) == entries and not full.any()
        assert empty.all() if code != "need_weights=False" else not empty.any()


def test_what_the_push_backs_say_of_torch() -> None:
    assert torch.tensor(-1e9).half() == -torch.inf
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        lowest = torch.tensor(torch.finfo(dtype).min, dtype=dtype)
        assert lowest + lowest == -torch.inf
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    finite = scores + torch.zeros(6, 6).masked_fill(~masks.causal(6, -1), -1e9)
    assert (finite.softmax(-1)[1:][~masks.causal(6, -1)[1:]] == 0).all(), "beside ordinary logits, 0"
    assert (finite.softmax(-1)[0] > 0).all(), "in an empty row, weights for hidden words"
    # True means “may look” in one place and “may not look” in the other, as the weights of the last word show.
    x, hidden = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(1)), ~masks.causal(3)
    _, weights = torch.nn.MultiheadAttention(4, 1, batch_first=True)(x, x, x, attn_mask=hidden)
    assert (weights[0][hidden] == 0).all() and (weights[0][~hidden] > 0).all()
    seen = F.scaled_dot_product_attention(x, x, torch.eye(3)[None], attn_mask=~hidden)[0]
    assert (seen[hidden] == 0).all() and (seen[~hidden] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_lowest_number_drowns_ordinary_logits(dtype: torch.dtype) -> None:
    scores = 5 * torch.randn(6, generator=torch.Generator().manual_seed(0), dtype=dtype)
    weights = (scores + torch.finfo(dtype).min).softmax(-1)
    assert (weights == weights[0]).all()


def test_zeroing_and_renormalising_can_be_nothing_through_nothing() -> None:
    scores, seen = torch.tensor([0.0, 1.0, 200.0]), torch.tensor([True, True, False])
    zeroed = scores.softmax(-1) * seen
    assert (zeroed / zeroed.sum()).isnan().all()
    assert scores.masked_fill(~seen, -torch.inf).softmax(-1).sum() == 1


@pytest.mark.parametrize("leaking", [None, 0, 1, 2])
def test_causality_survives_layers_and_one_leak_breaks_it(leaking: int | None) -> None:
    g = torch.Generator().manual_seed(0)
    layers = [[torch.randn(4, 4, generator=g, dtype=torch.float64) for _ in range(4)] for _ in range(3)]

    def stack(x: Tensor) -> Tensor:
        for i, (q, k, v, w) in enumerate(layers):
            seen = masks.full(5) if i == leaking else masks.causal(5)
            x = F.layer_norm(x + masking.attention(x @ q, x @ k, x @ v, seen), (4,))
            x = x + (x @ w).relu()
        return x

    x = torch.randn(5, 4, generator=g, dtype=torch.float64)
    acts = torch.autograd.functional.jacobian(stack, x).abs().sum((1, 3)) != 0
    assert bool(acts.triu(1).any()) == (leaking is not None)


# ------------------------------------------------------------------------------------------------ the sentences


def test_the_right_option_is_all_of_them() -> None:
    prediction = concept.prediction
    assert prediction is not None
    assert prediction.experiment() == 15 and prediction.options[prediction.right(15)].text == "All 15"
    assert torch.equal(masking.changed("before"), masks.causal(6)), "to the last bit, in every one"
    for where in ("before", "after", "multiply"):
        assert torch.equal(masking.changed(where), masking.head(where=where).influence != 0), "as the derivatives say"


def test_the_sentence_names_the_torch_that_was_measured() -> None:
    (said,) = (c.better for c in concept.corrections if "_attention gives 0" in c.better)
    assert f"In torch {torch.__version__.split('+')[0]} " in said


# ------------------------------------------------------------------------------------------------ the cheating detector


def test_the_leak_is_found_and_repeats() -> None:
    *_, once = leak.train(seeds=(5,), steps=60, every=20)
    *_, again = leak.train(seeds=(5,), steps=60, every=60)
    assert torch.equal(once.by_position, again.by_position)
    # Both average the last 20 steps, in another order.
    torch.testing.assert_close(once.losses[..., -1], once.now)
    honest, cheat, *_ = once.now[:, 0]
    # 20 batches of 512 tokens: the standard error of a mean loss is far below 0.05 at a spread under 1 nat.
    assert honest > leak.HONEST - 0.05 and cheat < leak.HONEST / 4


def test_progress_reports_every_run_until_the_end() -> None:
    found = list(leak.train(seeds=(0, 1), vocabulary=4, length=8, steps=7, every=3))
    assert [p.losses.shape for p in found] == [(4, 2, 1), (4, 2, 2), (4, 2, 3)]
    assert [p.at.tolist() for p in found][-1] == [3, 6, 7] and [p.done for p in found] == [3 / 7, 6 / 7, 1]
    assert found[-1].by_position.shape == (4, 2, 8)
    assert found[-1].entropy == math.log(4) and found[-1].floor == math.log(4) / 8
    first, second, *_ = found[0].losses.unbind(0)
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])


def test_the_runs_do_not_touch_each_other() -> None:
    """All seeds in one program give what each gives alone, up to the order of rounding."""
    together, alone = (list(leak.train(s, steps=5))[-1].losses for s in ((3, 4, 5), (3,)))
    torch.testing.assert_close(together[:, :1], alone, atol=1e-12, rtol=0)


def test_another_seed_is_another_start_and_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(seed: int) -> Tensor:
        return next(leak.train((seed,), steps=1)).losses

    assert not torch.equal(first(1), first(2))
    starts = leak._parameters(leak.VOCABULARY, (0,))
    monkeypatch.setattr(
        leak,
        "_parameters",
        lambda vocabulary, seeds: {k: v.clone().detach().requires_grad_() for k, v in starts.items()},
    )
    assert not torch.equal(first(1), first(2)), "the same start on other tokens gives another loss"


def test_the_detector_has_the_masks_that_the_head_has() -> None:
    """Before, after and times 0, as `masking.weigh` does it; one step too far is −∞ under another mask."""
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    enters, replaced, kept = leak._masking(5)
    found = torch.where(enters, scores, replaced).softmax(-1) * kept
    cases: tuple[tuple[int, masking.Where], ...] = ((0, "before"), (1, "before"), (0, "after"), (0, "multiply"))
    for mine, (offset, where) in zip(found, cases, strict=True):
        torch.testing.assert_close(mine, masking.weigh(scores, masks.causal(5, offset), where), atol=1e-12, rtol=0)


def test_a_position_teaches_where_its_loss_has_a_gradient() -> None:
    assert masking.taught().all() and not masking.taught("nobody").any()


def test_only_the_last_position_cannot_cheat() -> None:
    leaking = leak.trained().by_position[1].mean(0)
    assert (leaking[:-1] < 0.05).all() and leaking[-1] > leak.HONEST


def test_the_shipped_curves_lie_between_their_floors() -> None:
    honest, cheat = leak.final_losses("causal"), leak.final_losses("ahead")
    # 20 batches of 512 tokens; a guess costs ln 16 with a spread of at most 0.3 nats, a last position the same.
    tolerance = 4 * 0.3 / math.sqrt(20 * 512)
    assert (honest > leak.HONEST - tolerance).all() and (honest < leak.HONEST + 0.1).all()
    assert (cheat > leak.LEAK - tolerance).all() and (cheat < 0.25).all()
    assert torch.equal(torch.stack([*map(leak.final_losses, leak.MASKS)]), leak.trained().by_position.mean(-1)), (
        "of the last steps, not the best"
    )
