"""Question 4: what the lesson's experiments promise, over every mask and any sentence."""

import itertools
import math
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from core.concepts import masking
from core.ops import masks
from core.ops.words import MOST, tokens
from core.training import leak
from ui import figures, palette

quick = settings(deadline=None, derandomize=True, max_examples=15)
SENTENCES = st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=2, max_size=MOST).map(" ".join)
SEEDS = st.integers(0, 99)


def own(n: int, bits: list[bool]) -> str:
    return "/".join("".join(str(int(b)) for b in bits[i * n : (i + 1) * n]) for i in range(n))


def by_name(kind: masking.Kind, n: int = 6) -> str:
    return masking.written(masking.mask(kind, n))


# ------------------------------------------------------------------------------------------------ the mask


@pytest.mark.parametrize(
    ("kind", "allowed"), [("causal", 21), ("none", 36), ("ahead", 26), ("strict", 15), ("prefix", 24)]
)
def test_who_may_look(kind: masking.Kind, allowed: int) -> None:
    assert int(masking.mask(kind, 6).sum()) == allowed


@quick
@given(n=st.integers(1, MOST), prefix=st.integers(1, MOST))
def test_an_open_prefix_of_any_length(n: int, prefix: int) -> None:
    seen = masking.mask("prefix", n, prefix=prefix)
    assert seen[:, :prefix].all() and torch.equal(seen[:, prefix:], masks.causal(n)[:, prefix:])


@quick
@given(n=st.integers(2, 6), data=st.data())
def test_a_mask_of_ones_own_is_read_as_written(n: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    visible = masking.parse(own(n, bits), n)
    assert visible.flatten().tolist() == bits and masking.written(visible) == own(n, bits)


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
    ],
)
def test_a_wrong_mask_is_refused_in_words(wrong: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        masking.parse(wrong, 2)


# ------------------------------------------------------------------------------------------------ the head


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_logits_and_weights_are_torchs(sentence: str, seed: int) -> None:
    head = masking.head(sentence, seed=seed)
    x = masking.inputs(sentence.split())
    w_q, w_k, _ = masking._projections(seed, masking.D_MODEL)
    identity = torch.eye(len(x), dtype=torch.float64)  # with these values, the output is the weights
    expected = F.scaled_dot_product_attention((x @ w_q)[None], (x @ w_k)[None], identity[None], is_causal=True)[0]
    torch.testing.assert_close(head.weights, expected, atol=1e-12, rtol=1e-12)
    assert (head.weights.triu(1) == 0).all()


@pytest.mark.parametrize(
    ("kind", "where", "pairs"),
    [
        ("causal", "before", 21),
        ("none", "before", 36),
        ("ahead", "before", 26),
        ("prefix", "before", 24),
        ("causal", "after", 36),
        ("causal", "multiply", 36),
        # 15 allowed pairs, and 4 rows with more than one visible key that their own query still steers.
        ("strict", "before", 19),
    ],
)
def test_how_many_pairs_influence(kind: masking.Kind, where: masking.Where, pairs: int) -> None:
    assert masking.head(rows=by_name(kind), where=where).pairs == pairs


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
    before, after = (masking.head(sentence, "", w, seed=seed).weights for w in ("before", "after"))
    torch.testing.assert_close(after / after.sum(-1, keepdim=True), before, atol=1e-12, rtol=1e-12)
    assert float(after[0].sum()) < 1


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
    assert (causal.change == 0).all() and (full.change > 0).all()
    assert len(causal.change) == len(sentence.split())
    # Sums of at most 13 products of numbers below about 30: a few hundred times the rounding unit.
    assert causal.cache < 1e-13


# ------------------------------------------------------------------------------------------------ conventions


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_an_empty_row_has_three_answers_and_the_others_one(sentence: str, seed: int) -> None:
    found, n = masking.libraries(sentence, -1, seed), len(tokens(sentence))
    assert found.row[0].isnan().all() and (found.row[1] == 0).all()
    assert (found.row[2] == 1 / n).all(), "hidden words too: the whole sentence, later words included"
    # Two ways to round a quotient of sums of at most 12 numbers below 1.
    assert found.others < 12 * 4 * torch.finfo(torch.float64).eps


def test_a_nan_spreads_to_every_word_and_only_from_an_empty_row() -> None:
    assert masking.spoiled_gradients(-1) == 6 * masking.D_MODEL and masking.spoiled_gradients(0) == 0


def test_what_the_push_backs_say_of_torch() -> None:
    assert torch.tensor(-1e9).half() == -torch.inf
    lowest = torch.tensor(torch.finfo(torch.float16).min, dtype=torch.float16)
    assert lowest + lowest == -torch.inf
    # True means “may look” in one place and “may not look” in the other, as the weights of the last word show.
    x, hidden = torch.randn(1, 3, 4), ~masks.causal(3)
    _, weights = torch.nn.MultiheadAttention(4, 1, batch_first=True)(x, x, x, attn_mask=hidden)
    assert (weights[0][hidden] == 0).all() and (weights[0][~hidden] > 0).all()


# ------------------------------------------------------------------------------------------------ the cheating detector


def test_the_leak_is_found_and_repeats() -> None:
    *_, once = leak.train(seeds=(5,), steps=60, every=20)
    *_, again = leak.train(seeds=(5,), steps=60, every=60)
    assert torch.equal(once.by_position, again.by_position)
    # Both average the last 20 steps, in another order.
    torch.testing.assert_close(once.losses[..., -1], once.now)
    honest, cheat = once.now[:, 0]
    # 20 batches of 512 tokens: the standard error of a mean loss is far below 0.05 at a spread under 1 nat.
    assert honest > leak.HONEST - 0.05 and cheat < leak.HONEST / 4


def test_progress_reports_every_run_until_the_end() -> None:
    found = list(leak.train(seeds=(0, 1), vocabulary=4, length=8, steps=7, every=3))
    assert [p.losses.shape for p in found] == [(2, 2, 1), (2, 2, 2), (2, 2, 3)]
    assert [p.at.tolist() for p in found][-1] == [3, 6, 7] and [p.done for p in found] == [3 / 7, 6 / 7, 1]
    assert found[-1].by_position.shape == (2, 2, 8)
    assert found[-1].entropy == math.log(4) and found[-1].floor == math.log(4) / 8
    first, second = found[0].losses.unbind(0)
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])


def test_the_runs_do_not_touch_each_other() -> None:
    """All seeds in one program give what each gives alone, up to the order of rounding."""
    together, alone = (list(leak.train(s, steps=5))[-1].losses for s in ((3, 4, 5), (3,)))
    torch.testing.assert_close(together[:, :1], alone, atol=1e-5, rtol=0)


def test_only_the_last_position_cannot_cheat() -> None:
    leaking = leak.trained().by_position[1].mean(0)
    assert (leaking[:-1] < 0.05).all() and leaking[-1] > leak.HONEST


def test_the_shipped_curves_lie_between_their_floors() -> None:
    honest, cheat = leak.final_losses("causal"), leak.final_losses("ahead")
    # 20 batches of 512 tokens; a guess costs ln 16 with a spread of at most 0.3 nats, a last position the same.
    tolerance = 4 * 0.3 / math.sqrt(20 * 512)
    assert (honest > leak.HONEST - tolerance).all() and (honest < leak.HONEST + 0.1).all()
    assert (cheat > leak.LEAK - tolerance).all() and (cheat < 0.25).all()


def test_the_shipped_curves_are_this_programs() -> None:
    first = next(itertools.islice(leak.train(), 3, None))
    shipped = leak.trained().losses[..., :4]
    torch.testing.assert_close(first.losses, shipped, atol=1e-3, rtol=0)  # rounding, other machines


# ------------------------------------------------------------------------------------------------ figures


def test_a_mask_that_can_be_clicked_answers_on_hidden_cells() -> None:
    seen, look = masks.causal(2), {"title": "t", "rows": ["a", "b"], "columns": ["a", "b"]}
    chart = figures.heatmap(seen.float(), hatched=~seen, clickable=True, **look)
    assert chart["layout"]["meta"] == {"clickable": True}
    assert chart["data"][0]["z"].tolist() == [[1, 0], [1, 1]], "Plotly hears no click on a missing value"
    assert "meta" not in figures.heatmap(seen.float(), hatched=~seen, **look)["layout"]


def test_levels_are_rules_with_a_name() -> None:
    for log, place in ((False, 10.0), (True, 1.0)):
        chart = figures.lines(
            [figures.Series("a", [1.0, 2.0])],
            x=[0, 1],
            title="t",
            x_title="x",
            y_title="y",
            log_y=log,
            levels={"ten": (10.0, palette.INK)},
        )
        (rule,), (name,) = chart["layout"]["shapes"], chart["layout"]["annotations"]
        assert rule["y0"] == rule["y1"] == 10 and (name["text"], name["y"]) == ("ten", place)
