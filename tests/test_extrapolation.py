"""Question 11: its equations, and that its experiments measure what their names say."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from core.experiments import extrapolation as longer
from core.ops import markov, masks, positions
from core.training import extrapolation as training

quick = settings(deadline=None, derandomize=True, max_examples=30)


# ------------------------------------------------------------------------------------------------ equations


@quick
@given(n=st.integers(1, 20), window=st.integers(1, 25))
def test_a_window_shows_so_many_of_the_last_tokens(n: int, window: int) -> None:
    visible = masks.sliding_window(n, window)
    assert visible.sum(-1).tolist() == [min(i + 1, window) for i in range(n)]
    assert all(visible[i, i] and not visible[i, i + 1 :].any() for i in range(n))
    if window >= n:
        assert torch.equal(visible, masks.causal(n))


def test_a_window_without_the_token_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        masks.sliding_window(3, 0)


def hugging_face_bucket(back: int, buckets: int, far: int) -> int:
    """`_relative_position_bucket` of Hugging Face's T5, causal, in Python's own floats."""
    exact = buckets // 2
    if back < exact:
        return back
    return min(buckets - 1, exact + int(math.log(back / exact) / math.log(far / exact) * (buckets - exact) + 1e-9))


@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (8, 20), (16, 64)])
def test_t5_buckets_are_those_of_the_library(buckets: int, far: int) -> None:
    back = torch.arange(3 * far)
    found = positions.t5_bucket(back, buckets, far)
    assert found.tolist() == [hugging_face_bucket(int(d), buckets, far) for d in back]
    assert found[-1] == buckets - 1 and bool((found.diff() >= 0).all()) and len(found.unique()) == buckets


@quick
@given(stretch=st.floats(1, 64), half=st.integers(2, 64))
def test_ntk_slows_the_slowest_pair_by_just_the_stretch(stretch: float, half: int) -> None:
    d = 2 * half
    before, after = (longer.frequencies(d, base) for base in (1e4, positions.ntk_base(stretch, d)))
    assert float(after[0]) == float(before[0]) == 1
    assert float(before[-1] / after[-1]) == pytest.approx(stretch)


@pytest.mark.parametrize("d", [2, 5])
def test_ntk_needs_two_pairs(d: int) -> None:
    with pytest.raises(ValueError, match=f"not {d}"):
        positions.ntk_base(2.0, d)


def test_the_stationary_pairs_stay_and_are_what_texts_have() -> None:
    chain, pairs = training.chain(), training.pairs()
    torch.testing.assert_close((pairs[..., None] * chain).sum(0), pairs, rtol=0, atol=1e-12)
    torch.testing.assert_close(pairs.sum(0), pairs.sum(1), rtol=0, atol=1e-12)
    assert float(pairs.sum()) == pytest.approx(1)
    text = markov.draw_text(chain, pairs, 400, 200, torch.Generator().manual_seed(0))
    for t in (0, 100, 198):  # from the first token on
        seen = F.one_hot(text[:, t] * 8 + text[:, t + 1], 64).double().mean(0)
        error = (pairs.flatten() * (1 - pairs.flatten()) / 400).sqrt()
        assert float(((seen - pairs.flatten()).abs() / error).max()) < 5


def test_a_text_follows_its_chain() -> None:
    chain, pairs = training.chain(), training.pairs()
    text = markov.draw_text(chain, pairs, 2000, 60, torch.Generator().manual_seed(1))
    counts = torch.zeros(8, 8, 8, dtype=torch.float64)
    counts.index_put_(
        tuple(text[:, i : 58 + i].flatten() for i in range(3)), torch.tensor(1.0).double(), accumulate=True
    )
    often = counts.sum(-1) > 500
    share = counts[often] / counts[often].sum(-1, keepdim=True)
    error = (chain[often] * (1 - chain[often]) / counts[often].sum(-1, keepdim=True)).sqrt()
    assert float(((share - chain[often]).abs() / error.clamp_min(1e-3)).max()) < 5


def test_entropies_fall_with_what_is_seen_and_are_those_of_known_chains() -> None:
    one, two, three = markov.entropy_rates(training.chain())
    assert one > two > three > 0
    even = torch.full((4, 4, 4), 0.25, dtype=torch.float64)
    assert markov.entropy_rates(even) == pytest.approx((math.log(4),) * 3)
    # The next token is the sum of the two before, but for noise: one alone tells nothing.
    noisy = torch.full((2, 2, 2), 0.1, dtype=torch.float64)
    for a in range(2):
        for b in range(2):
            noisy[a, b, (a + b) % 2] = 0.9
    surprise = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert markov.entropy_rates(noisy) == pytest.approx((math.log(2), math.log(2), surprise), abs=1e-6)


# ------------------------------------------------------------------------------------------------ experiments


def test_guessing_loses_what_a_constant_guess_loses() -> None:
    """Measured over texts: the cross-entropy of the tokens' shares, minus that of the chain itself."""
    tokens = training.unseen("next", 64, 256)
    best = training.best("next", tokens)[:, 1:]
    share = training.pairs().sum(0)
    loss = (torch.special.xlogy(best, best) - best * share.log()).sum(-1)
    assert float(loss.mean()) == pytest.approx(longer.guessing(), abs=0.02)


@pytest.mark.parametrize("encoding", training.ENCODINGS)
def test_what_is_shipped_is_what_the_shipped_weights_lose(encoding: training.Encoding) -> None:
    tokens = training.unseen("next", training.SHOWN, longer.FAR)[:, : 32 + 1]
    for window in (None, 8):
        how = training.Reading(window=window)
        again = training.binned(training.excess_at(training.trained(encoding), "next", encoding, tokens, how))
        shipped = training.outcome(encoding, "next", "whole" if window is None else "window 8")[0, :4]
        torch.testing.assert_close(again, shipped, rtol=6e-3, atol=1e-4)


def test_means_are_over_the_whole_text() -> None:
    by_position = training.outcome("rope", "next", "whole")
    assert longer.lost("rope", 64).tolist() == pytest.approx(by_position[:, :8].mean(-1).tolist())
    assert longer.curves("rope")[:, 4].tolist() == pytest.approx(longer.lost("rope", 64).tolist())
    assert longer.recalled("rope", 64).tolist() == training.outcome("rope", "recall", "right")[:, 7].tolist()
    assert longer.remedy_lost("nothing", 8).tolist() == longer.lost("rope").tolist()
    assert longer.remedy_lost("interpolation", 2).tolist() != longer.remedy_lost("interpolation", 4).tolist()


def test_read_now_reads_the_shipped_model() -> None:
    """Four of the 64 texts that are shipped as a mean: close to it, and a window matters."""
    assert longer.read_now("rope") == pytest.approx(float(longer.lost("rope")[0]), rel=0.1)
    assert longer.read_now("rope", training.LENGTH) == pytest.approx(
        float(longer.lost("rope", sees="window")[0]), rel=0.3
    )


def test_held_distances_are_the_model_itself_until_they_hold() -> None:
    assert longer.rope_held(63, n=64) == pytest.approx(longer.read_now("rope", n=64), rel=1e-9)
    assert longer.rope_held(31, n=64) < 0.5 * longer.rope_held(63, n=64)


def test_rows_that_were_never_used_are_as_drawn() -> None:
    # On another processor torch.randn draws other last bits.
    assert longer.never_moved("table", training.LENGTH, longer.FAR) < 5e-7 < 0.01 < longer.never_moved("table", 31, 32)
    known = int(positions.t5_bucket(torch.tensor(training.LENGTH - 1))) + 1
    assert (
        longer.never_moved("bias", known, training.BUCKETS) < 5e-7 < 0.01 < longer.never_moved("bias", known - 1, known)
    )
    rows = longer.rows_of_table()
    expected = training.TABLE_NOISE * math.sqrt(training.WIDTH)
    assert (
        float(rows[training.LENGTH :].mean()) == pytest.approx(expected, rel=0.05)
        and rows[: training.LENGTH].min() > 2 * expected
    )


def test_a_table_has_no_row_beyond_its_end() -> None:
    tokens = torch.zeros(1, longer.FAR + 1, dtype=torch.long)
    with pytest.raises(IndexError):
        training.answer(training.trained("learned"), tokens, "learned")


def test_biases_are_what_the_models_add() -> None:
    for encoding in ("t5", "alibi"):
        added = training.added_to_logits(training.trained(encoding), encoding, longer.FAR, None, torch.float64)
        torch.testing.assert_close(added[:, -1].flip(-1), longer.biases(encoding))


def test_turns_are_counted_for_published_heads() -> None:
    assert [longer.incomplete(r.d, r.length, r.base) for r in longer.ROTARIES] == [6, 18, 29]
    assert float(longer.turns(16, 32)[0]) == pytest.approx(32 / (2 * math.pi))
    assert float(longer.turns(16, 256, divide=8.0)[0]) == pytest.approx(32 / (2 * math.pi))


@pytest.mark.parametrize(("n", "window", "share"), [(32, None, 0.0), (33, None, 1 / 561), (256, 32, 0.0), (4, 2, 0.0)])
def test_unseen_distances_are_counted(n: int, window: int | None, share: float) -> None:
    assert longer.unseen_share(n, window) == pytest.approx(share)


def test_a_rope_score_is_an_offset_and_no_place() -> None:
    scores = longer.rope_scores((0, 5, 500), 7)
    assert float(scores.max() - scores.min()) < 1e-12
    assert abs(float(longer.rope_scores((0,), 9)[0] - scores[0])) > 0.01
    assert abs(float(longer.rope_scores((0,), -7)[0] - scores[0])) > 0.01, "its sign matters"


def test_bfloat16_ruins_far_positions_and_float32_does_not() -> None:
    rough, fine = longer.precision(), longer.precision(single=True)
    spread = float(rough.exact.max() - rough.exact.min())
    assert spread < 1e-10
    assert float((rough.rough - rough.exact).abs()[rough.at > 1000].max()) > 0.5
    assert float((fine.rough - fine.exact).abs().max()) < 0.05
    near = (rough.rough - rough.exact).abs()[rough.at < 64].max()
    assert float(near) < 0.5 * float((rough.rough - rough.exact).abs().max())


def test_remedies_are_what_they_are_called() -> None:
    ours = longer.ROTARIES[0]
    assert longer.read_as(ours, "nothing", 8) == (1e4, 1.0) and longer.read_as(ours, "interpolation", 8) == (1e4, 8)
    for remedy in training.REMEDIES:
        base, divide = longer.read_as(ours, remedy, 4)
        assert training.remedied(remedy, 4) == training.Reading(divide=divide, base=base)


def test_decay_is_of_equal_vectors() -> None:
    equal = longer.by_distance(True)
    torch.testing.assert_close(equal, (torch.arange(4096)[:, None] * longer.frequencies(128)).cos().mean(-1))
    assert longer.peak(True) == 0 and min(longer.peak(False, seed) for seed in range(4)) > 0


def test_blooms_bias_is_alibis_after_the_softmax_only() -> None:
    n, slope = 12, 0.25
    ours, theirs = positions.alibi(n, slope), longer.bloom_bias(n, slope)
    assert not torch.allclose(ours, theirs)
    torch.testing.assert_close(longer.weights_with(theirs, masks.causal(n)), longer.weights_with(ours, masks.causal(n)))
    assert (
        float((longer.weights_with(theirs, masks.full(n)) - longer.weights_with(ours, masks.full(n))).abs().max())
        > 0.01
    )
