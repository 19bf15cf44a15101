"""Question 4: what the lesson's experiments promise, over every mask and any sentence."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from core.concepts import masking
from core.ops import masks
from core.training import leak

quick = settings(deadline=None, derandomize=True, max_examples=15)
SENTENCES = st.lists(
    st.text("abcdefgh", min_size=1, max_size=4), min_size=2, max_size=masking.MOST
).map(" ".join)
SEEDS = st.integers(0, 99)


def own(n: int, bits: list[bool]) -> str:
    return "/".join("".join(str(int(b)) for b in bits[i * n : (i + 1) * n]) for i in range(n))


# ------------------------------------------------------------------------------------------------ the mask


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [("causal", 21), ("none", 36), ("ahead", 26), ("strict", 15), ("prefix", 24)],
)
def test_who_may_look(kind: masking.Kind, allowed: int) -> None:
    assert int(masking.mask(kind, 6).sum()) == allowed


@quick
@given(n=st.integers(2, 6), data=st.data())
def test_a_mask_of_ones_own_is_read_as_written(n: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    assert masking.parse(own(n, bits), n).flatten().tolist() == bits


@pytest.mark.parametrize(
    "wrong", ["", "1", "10/1", "10/12", "10/11/11", "10|11", "<b>/11", "٠١/11"]
)
def test_a_wrong_mask_is_refused_in_words(wrong: str) -> None:
    with pytest.raises(ValueError, match="Write 2 rows of 2 digits"):
        masking.parse(wrong, 2)


# ------------------------------------------------------------------------------------------------ the head


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_logits_and_weights_are_torchs(sentence: str, seed: int) -> None:
    head = masking.head(sentence, "causal", seed=seed)
    x = masking.inputs(sentence.split())
    w_q, w_k, _ = masking._projections(seed, masking.D_MODEL)
    identity = torch.eye(
        len(x), dtype=torch.float64
    )  # with these values, the output is the weights
    expected = F.scaled_dot_product_attention(
        (x @ w_q)[None], (x @ w_k)[None], identity[None], is_causal=True
    )[0]
    torch.testing.assert_close(head.weights, expected, atol=1e-12, rtol=1e-12)
    assert (head.weights.triu(1) == 0).all()


@pytest.mark.parametrize(
    ("kind", "where", "pairs"),
    [
        ("causal", "before", 21), ("none", "before", 36), ("ahead", "before", 26), ("prefix", "before", 24),
        ("causal", "after", 36), ("causal", "multiply", 36),
        # 15 allowed pairs, and 4 rows with more than one visible key that their own query still steers.
        ("strict", "before", 19),
    ],
)  # fmt: skip
def test_how_many_pairs_influence(kind: masking.Kind, where: masking.Where, pairs: int) -> None:
    assert masking.head(kind=kind, where=where).pairs == pairs


@quick
@given(n=st.integers(2, 5), seed=SEEDS, data=st.data())
def test_only_visible_keys_and_the_own_query_act(n: int, seed: int, data: st.DataObject) -> None:
    """Any mask, empty rows too: a hidden key has influence exactly 0, and no NaN is taken for a 0."""
    bits = data.draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    head = masking.head(" ".join("abcdefgh"[:n]), "own", own=own(n, bits), seed=seed)
    assert not head.influence.isnan().any()
    steered = torch.diag(head.visible.sum(-1) > 1)
    assert torch.equal(head.influence != 0, head.visible | steered)


@quick
@given(sentence=SENTENCES, seed=SEEDS)
def test_renormalising_after_zeroing_is_masking(sentence: str, seed: int) -> None:
    """Zeroing afterwards would be right if the row were divided by its new sum, which is what −∞ does."""
    before, after = (masking.head(sentence, "causal", w, seed=seed).weights for w in ("before", "after"))  # fmt: skip
    torch.testing.assert_close(after / after.sum(-1, keepdim=True), before, atol=1e-12, rtol=1e-12)
    assert float(after[0].sum()) < 1


def test_equal_logits_share_equally() -> None:
    weights = masking.weigh(torch.zeros(6, 6, dtype=torch.float64), masks.causal(6))
    torch.testing.assert_close(
        weights, masks.causal(6) / torch.arange(1, 7, dtype=torch.float64)[:, None]
    )
    after = masking.weigh(torch.zeros(6, 6, dtype=torch.float64), masks.causal(6), "after")
    torch.testing.assert_close(after.sum(-1), torch.arange(1, 7, dtype=torch.float64) / 6)


# ------------------------------------------------------------------------------------------------ appending


@quick
@given(sentence=SENTENCES, word=st.sampled_from(["today", "a", "<b>"]), seed=SEEDS)
def test_appending_changes_earlier_outputs_only_without_a_mask(
    sentence: str, word: str, seed: int
) -> None:
    causal, full = (masking.append(sentence, word, c, seed) for c in (True, False))
    assert (causal.change == 0).all() and (full.change > 0).all()
    assert len(causal.change) == len(causal.words) == min(len(sentence.split()), masking.MOST - 1)
    # Sums of at most 12 products of numbers below about 30: a few hundred times the rounding unit.
    assert causal.cache < 1e-13


# ------------------------------------------------------------------------------------------------ conventions


def test_an_empty_row_has_three_answers() -> None:
    assert masking.empty_row("textbook").isnan().all()
    assert masking.empty_row("sdpa").tolist() == [0.0]
    assert masking.empty_row("additive").tolist() == [1.5]


def test_what_the_push_backs_say_of_torch() -> None:
    assert torch.tensor(-1e9).half() == -torch.inf
    lowest = torch.tensor(torch.finfo(torch.float16).min, dtype=torch.float16)
    assert lowest + lowest == -torch.inf
    value = torch.arange(4.0)[None, :, None]
    first = F.scaled_dot_product_attention(
        torch.ones(1, 1, 1), torch.ones(1, 4, 1), value, is_causal=True
    )
    assert first.item() == 0, "one query against four keys sees the first only"


# ------------------------------------------------------------------------------------------------ the cheating detector


def test_the_leak_is_found_and_repeats() -> None:
    *_, once = leak.train(seeds=(5,), steps=60, every=20)
    *_, again = leak.train(seeds=(5,), steps=60, every=60)
    assert torch.equal(once.losses, again.losses)
    honest, cheat = once.losses[:, 0, -10:].mean(-1)
    # 10 batches of 512 tokens: the standard error of a mean loss is far below 0.05 at a spread under 1 nat.
    assert honest > leak.HONEST - 0.05 and cheat < leak.HONEST / 4


def test_progress_reports_every_run_until_the_end() -> None:
    lengths = [p.losses.shape for p in leak.train(seeds=(0, 1), steps=7, every=3)]
    assert lengths == [(2, 2, 3), (2, 2, 6), (2, 2, 7)]


def test_the_shipped_curves_lie_between_their_floors() -> None:
    honest, cheat = leak.final_losses("causal"), leak.final_losses("ahead")
    # 20 batches of 512 tokens; a guess costs ln 16 with a spread of at most 0.3 nats, a last position the same.
    tolerance = 4 * 0.3 / math.sqrt(20 * 512)
    assert (honest > leak.HONEST - tolerance).all() and (honest < leak.HONEST + 0.1).all()
    assert (cheat > leak.LEAK - tolerance).all() and (cheat < 0.25).all()


def test_the_shipped_curves_are_this_programs() -> None:
    *_, first = leak.train(steps=20, every=20)
    shipped = leak.trained().losses[..., :20]
    torch.testing.assert_close(first.losses, shipped, atol=1e-3, rtol=0)  # rounding, other machines
